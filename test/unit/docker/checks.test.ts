import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { dockerChecks } from '../../../host/docker/checks.ts';
import { script } from '../cli/host-tools.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const RUN = '/home/me/run';

/** A host with a docker command line. */
async function host(): Promise<NodeJS.ProcessEnv> {
  const folder = await temporaryFolder();
  await mkdir(path.join(folder, 'bin'));
  await script(path.join(folder, 'bin/docker'), 'true');
  return { PATH: path.join(folder, 'bin'), DOCKER_CONFIG: path.join(folder, '.docker') };
}

async function selectBuilder(env: NodeJS.ProcessEnv, current: string, instance: string): Promise<void> {
  const store = path.join(env.DOCKER_CONFIG ?? '', 'buildx');
  await mkdir(path.join(store, 'instances'), { recursive: true });
  await writeFile(path.join(store, 'current'), current);
  await writeFile(path.join(store, 'instances/mine'), instance);
}

test('a host without docker is well, and told that it needs none', async () => {
  const [cli, ...more] = await dockerChecks(RUN, { PATH: '/nowhere', DOCKER_CONFIG: '/nowhere' });
  expect(cli).toMatchObject({ id: 'docker-cli', status: 'ok', what: expect.stringContaining('needs none') });
  expect(more).toEqual([]);
});

test.each([
  [{}, 'ok'],
  [{ DOCKER_HOST: `unix://${RUN}/0123abcd/docker.sock` }, 'ok'],
  [{ DOCKER_CONTEXT: 'rosetta-vm-ci' }, 'ok'],
  [{ DOCKER_HOST: 'unix:///var/run/docker.sock' }, 'degraded'],
  [{ DOCKER_HOST: 'ssh://far' }, 'degraded'],
  [{ DOCKER_CONTEXT: 'work' }, 'degraded'],
])('with %j docker’s way to a machine is %s', async (variables, status) => {
  const [cli] = await dockerChecks(RUN, { ...(await host()), ...variables });
  expect(cli?.status).toBe(status);
  for (const name of Object.keys(variables)) if (status === 'degraded') expect(cli?.fix).toContain(`unset ${name}`);
});

const CONTAINER = '{"Name":"mine","Driver":"docker-container"}';

test.each([
  ['a builder in a container, for all of docker', '{"Key":"x","Name":"mine","Global":true}', CONTAINER, ['buildx']],
  ['a builder in a container, for a machine', '{"Key":"rosetta-vm-ci","Name":"mine"}', CONTAINER, ['buildx']],
  ['a builder in a container, for another Docker', '{"Key":"work","Name":"mine"}', CONTAINER, []],
  ['Docker’s own builder', '{"Key":"x","Name":"mine","Global":true}', '{"Driver":"docker"}', []],
  ['no builder', '{"Key":"x","Name":"","Global":true}', CONTAINER, []],
  ['a builder whose name leads elsewhere', '{"Key":"x","Name":"../instances/mine","Global":true}', CONTAINER, []],
  ['files that are damaged', '{"Key":', '[', []],
])('%s', async (_what, current, instance, expected) => {
  const env = await host();
  await selectBuilder(env, current, instance);
  const [, ...more] = await dockerChecks(RUN, env);
  expect(more.map(({ id }) => id)).toEqual(expected);
});

test('BUILDX_BUILDER goes before the selected builder', async () => {
  const env = await host();
  await selectBuilder(env, '{"Key":"x","Name":"","Global":true}', CONTAINER);
  const checks = await dockerChecks(RUN, { ...env, BUILDX_BUILDER: 'mine' });
  expect(checks.at(-1)).toMatchObject({
    id: 'buildx',
    status: 'degraded',
    fix: expect.stringContaining('buildx use default'),
  });
});
