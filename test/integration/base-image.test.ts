/** Base images of Debian packages in the machine's own engine, and what is built on them. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type DockerCli, sharedDockerCli } from './docker-cli.ts';
import { rosettaVm, sharedMachine } from './support.ts';

const NAME = 'test/base:dash';
const ARGUMENTS = ['image', 'base', NAME, '--machine', sharedMachine(), '--packages', 'dash,coreutils'];

let docker: DockerCli;
beforeAll(async () => {
  docker = await sharedDockerCli();
});

async function makeBase(): Promise<{ readonly id: string; readonly root: string; readonly loaded: boolean }> {
  const { status, stdout, stderr } = await rosettaVm([...ARGUMENTS, '--json']);
  expect(status, stderr).toBe(0);
  const [image] = JSON.parse(stdout);
  return image;
}

describe('rosetta-vm image base', () => {
  it('makes an x86_64 image of Debian packages that the engine runs', async () => {
    const { id, root } = await makeBase();
    const inspected = await docker([
      'image',
      'inspect',
      '--format',
      '{{.Id}} {{.Architecture}} {{json .Config}}',
      NAME,
    ]);
    expect(inspected.stdout).toContain(`${id} amd64 `);
    expect(inspected.stdout).toContain(`"org.rosetta-vm.root":"${root}"`);

    const ran = await docker(['run', '--rm', '--platform', 'linux/amd64', NAME, 'uname', '-m']);
    expect(ran).toMatchObject({ stdout: 'x86_64\n', status: 0 });
  });

  it('answers at once when the engine has the image, and again loads one that was removed', async () => {
    const first = await makeBase();
    const again = await makeBase();
    expect(again).toMatchObject({ id: first.id, loaded: false });

    await docker(['image', 'rm', '--force', NAME]);
    expect(await makeBase()).toMatchObject({ root: first.root, loaded: true });
  });

  it('is what a Dockerfile builds on, without a registry', async () => {
    await makeBase();
    const dockerfile = `FROM ${NAME}\nRUN echo made of $(uname -m) > /made\n`;
    const build = ['build', '--platform', 'linux/amd64', '--network', 'none', '--tag', 'test/made', '-'];
    const built = await docker(build, dockerfile);
    expect(built.status, built.stderr).toBe(0);

    const ran = await docker(['run', '--rm', '--platform', 'linux/amd64', 'test/made', 'cat', '/made']);
    expect(ran.stdout).toBe('made of x86_64\n');
  });

  it('leaves the engine as it was when a package does not exist', async () => {
    const before = await docker(['image', 'ls', '--all', '--quiet']);
    const wrong = ['image', 'base', 'test/none', '--machine', sharedMachine(), '--packages', 'no-such-package'];
    expect((await rosettaVm(wrong)).status).toBe(3);
    expect((await docker(['image', 'ls', '--all', '--quiet'])).stdout).toBe(before.stdout);
  });
});
