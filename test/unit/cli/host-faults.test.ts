/** A host that lacks something: the command line says what, why and what to do, and leaves nothing half-made. */
import { once } from 'node:events';
import { readdir, symlink } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../../host/process/programs.ts';
import { temporaryFolder } from '../machine/temporary.ts';
import { commandLine, parts, type RunOptions } from './command-line.ts';
import { hostTools } from './host-tools.ts';

const cli = commandLine();

/** A mirror's address at which nobody answers any more. */
let gone: string;
beforeAll(async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  gone = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`;
  server.close();
  await once(server, 'close');
});

/** An environment with a PATH of these stand-ins and of util-linux alone: no QEMU and no apt-get of the real host. */
async function host(tools?: readonly string[]): Promise<RunOptions> {
  const cwd = await temporaryFolder();
  const bin = await hostTools(path.join(cwd, 'bin'), tools);
  for (const name of ['flock', 'setpriv']) {
    await symlink((await findProgram(name, process.env)) ?? '', path.join(bin, name));
  }
  return { home: path.join(cwd, 'home'), cwd, env: { PATH: bin } };
}

/** Every file below the state folder. */
async function files({ home }: RunOptions): Promise<string[]> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
}

describe('without QEMU', () => {
  test('`up` names the package, before it asks the network for anything', async () => {
    const options = await host(['virtiofsd', 'vhost-device-vsock']);
    const outcome = await cli.run(['up', '--mirror', gone], options);
    expect(outcome.status).toBe(5);
    expect(parts(outcome)).toMatchObject({
      what: 'QEMU is not installed.',
      why: expect.stringContaining('qemu-system-aarch64'),
      fix: expect.stringContaining('qemu-system-arm'),
    });
    expect(outcome.stderr).not.toContain('image');
    expect(await files(options)).toEqual([]);
  });

  test('`up --json` names it for programs too', async () => {
    const { status, stderr } = await cli.run(['up', '--json', '--mirror', gone], await host([]));
    expect(status).toBe(5);
    expect(JSON.parse(stderr).error).toMatchObject({
      code: 'E_HOST_MISSING',
      facts: { capability: 'qemu', packages: ['qemu-system-arm'] },
    });
  });
});

describe('without a mirror that answers', () => {
  test.each(['image build', 'up'])('`%s` says which one, and leaves no image and no machine', async (command) => {
    const options = await host();
    const outcome = await cli.run([...command.split(' '), '--mirror', gone], options);
    expect(outcome.status).toBe(1);
    expect(parts(outcome)).toMatchObject({
      what: expect.stringContaining('could not be downloaded'),
      why: expect.stringContaining(gone),
      fix: expect.stringContaining('--mirror'),
    });
    expect(await files(options)).toEqual([]);
    expect(await readdir(path.join(options.home, 'machines')).catch(() => [])).toEqual([]);
    expect(await cli.run(['image', 'list', '--json'], options)).toMatchObject({ status: 0, stdout: '[]\n' });
  });
});
