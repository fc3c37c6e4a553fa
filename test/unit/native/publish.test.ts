/** What the workflows' own steps make of the packages before they are published: their shell is run, npm's part is real. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const WORKFLOWS = path.join(ROOT, '.github/workflows');
const REPOSITORY = { type: 'git', url: 'git+https://github.com/somebody/rosetta-vm.git' };
const LIMIT_MS = 60_000;

interface Step {
  readonly run?: string;
  readonly 'working-directory'?: string;
}

async function steps(workflow: string, job: string): Promise<Step[]> {
  return parse(await readFile(path.join(WORKFLOWS, workflow), 'utf8')).jobs[job].steps;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rosetta-vm-publish-'));
  await cp(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
  await mkdir(path.join(folder, 'guest'));
  await cp(path.join(ROOT, 'native/package'), path.join(folder, 'addon'), { recursive: true });
  await cp(path.join(ROOT, 'guest/package'), path.join(folder, 'guest/package'), { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs a job's steps that change a package, up to the one that `until` matches, and reads the package that it takes. */
async function packageBefore(workflow: string, job: string, until: RegExp, name: string) {
  const all = await steps(workflow, job);
  const end = all.findIndex(({ run = '' }) => until.test(run));
  expect(end).toBeGreaterThan(0);
  const { version } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  for (const { run = '', 'working-directory': place = '.' } of all.slice(0, end)) {
    if (!run.includes('npm pkg set')) continue;
    await execa('bash', ['-e', '-c', run], {
      cwd: path.join(folder, place),
      env: {
        GITHUB_REPOSITORY: 'somebody/rosetta-vm',
        GITHUB_REF_NAME: `v${version}`,
        npm_config_offline: 'true',
        npm_config_update_notifier: 'false',
      },
      timeout: LIMIT_MS,
    });
  }
  return { version, made: JSON.parse(await readFile(path.join(folder, name), 'utf8')) };
}

describe('the package that is published names the repository, without which npm refuses its provenance (E422):', () => {
  it(
    'the addon’s',
    async () => {
      const { made } = await packageBefore('native.yml', 'publish', /npm publish \.\/addon/, 'addon/package.json');
      expect(made).toMatchObject({ name: '@rosetta-vm/darwin-arm64', repository: REPOSITORY });
    },
    LIMIT_MS,
  );

  it(
    'rosetta-vm, which also names the addon’s in the version that was published just before',
    async () => {
      const { made, version } = await packageBefore('native.yml', 'publish', /^npm publish --/, 'package.json');
      expect(made).toMatchObject({ name: 'rosetta-vm', repository: REPOSITORY });
      expect(made.optionalDependencies).toEqual({ '@rosetta-vm/darwin-arm64': version });
    },
    LIMIT_MS,
  );

  it(
    'that of the guest’s programs, before it is packed',
    async () => {
      const { made } = await packageBefore('guest.yml', 'pack', /npm run pack:guest/, 'guest/package/package.json');
      expect(made).toMatchObject({ name: '@rosetta-vm/guest-arm64', repository: REPOSITORY });
    },
    LIMIT_MS,
  );
});

it('no step pipes into a grep that ends early: under pipefail the writer’s SIGPIPE would fail it', async () => {
  for (const name of await readdir(WORKFLOWS)) {
    expect(await readFile(path.join(WORKFLOWS, name), 'utf8')).not.toMatch(/\|\s*grep\s+-\w*q/);
  }
});
