import { readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { renderDiagnosis } from '../../../host/cli/commands/doctor.ts';
import { PLAIN } from '../../../host/cli/style.ts';
import { hostChecks, nodeCheck } from '../../../host/doctor/checks.ts';
import { diagnose, ensureHost, requireUsable } from '../../../host/doctor/index.ts';
import { debianNames } from '../../../host/doctor/packages.ts';
import type { Capability } from '../../../host/drivers/driver.ts';
import { RosettaVmError } from '../../../host/errors.ts';
import { type StatePaths, statePaths } from '../../../host/paths.ts';
import type { ProgressEvent } from '../../../host/progress.ts';
import { hostTools, script } from '../cli/host-tools.ts';
import { temporaryFolder } from '../machine/temporary.ts';

/** What a Debian host has in any case. */
const BASE = ['sh', 'env', 'cat', 'cp', 'chmod', 'sleep', 'setpriv', 'flock', 'unshare', 'true'];

interface Host {
  readonly paths: StatePaths;
  /** The only folder on PATH. */
  readonly bin: string;
}

afterEach(() => vi.unstubAllEnvs());

/** A host that has the named tools and nothing else, and a state folder of its own. */
async function host(tools: readonly string[]): Promise<Host> {
  const folder = await temporaryFolder();
  const bin = await hostTools(path.join(folder, 'bin'), tools);
  for (const name of BASE) {
    for (const place of ['/usr/bin', '/bin'])
      await symlink(path.join(place, name), path.join(bin, name)).catch(() => {});
  }
  vi.stubEnv('PATH', bin);
  return { paths: statePaths({ ROSETTA_VM_HOME: path.join(folder, 'home') }), bin };
}

/** An apt-get that writes down how it was called; `install` does `onInstall` in a shell. */
async function aptGet(bin: string, onInstall: string, onUpdate = ''): Promise<() => Promise<string[]>> {
  const log = path.join(bin, 'apt.log');
  await script(
    path.join(bin, 'apt-get'),
    `echo "$DEBIAN_FRONTEND $*" >> ${log}\ncase $1 in update) ${onUpdate || ':'};; install) ${onInstall || ':'};; esac`,
  );
  // An ordinary user's sudo that asks for no password; root does not come across it.
  await script(path.join(bin, 'sudo'), 'shift; exec "$@"');
  return async () => (await readFile(log, 'utf8')).trimEnd().split('\n');
}

const ALL = ['qemu-system-aarch64', 'virtiofsd', 'vhost-device-vsock'];
const WITHOUT_QEMU = ['virtiofsd', 'vhost-device-vsock'];
/** What installing QEMU comes to. */
const installQemu = (bin: string): string =>
  `printf '#!/bin/sh\\necho QEMU emulator version 9.2.0\\n' > ${bin}/qemu-system-aarch64; chmod +x ${bin}/qemu-system-aarch64`;

const byId = (capabilities: readonly Capability[], id: string): Capability | undefined =>
  capabilities.find((one) => one.id === id);

describe('a diagnosis', () => {
  test('of a host that has everything is usable, and nothing was created', async () => {
    const { paths } = await host(ALL);
    const diagnosis = await diagnose(paths);
    expect(diagnosis.usable).toBe(true);
    for (const id of ['node', 'state', 'sockets', 'qemu', 'virtiofs', 'vsock']) {
      expect(byId(diagnosis.capabilities, id)?.status, id).not.toBe('missing');
    }
    await expect(readFile(path.dirname(paths.images))).rejects.toThrow('ENOENT');
    expect(() => requireUsable(diagnosis)).not.toThrow();
  });

  test('says of everything that is not well why, and of what blocks how to mend it', async () => {
    const { paths } = await host([]);
    const { usable, capabilities } = await diagnose(paths);
    expect(usable).toBe(false);
    expect(byId(capabilities, 'qemu')).toMatchObject({ status: 'missing', packages: ['qemu-system-arm'] });
    for (const { id, status, why } of capabilities) expect(status === 'ok' || why !== '', id).toBe(true);
    expect(() => requireUsable({ usable, capabilities })).toThrow(
      expect.objectContaining({ code: 'E_HOST_UNSUPPORTED', fix: expect.stringContaining('doctor --fix') }),
    );
  });

  test('notices an old Node.js', () => {
    expect(nodeCheck('20.18.9').status).toBe('missing');
    expect(['20.19.0', '20.20.2', '22.0.0'].map((version) => nodeCheck(version).status)).toEqual(['ok', 'ok', 'ok']);
  });

  test('notices a state folder whose sockets would have too long a path', async () => {
    const folder = await temporaryFolder();
    const checks = await hostChecks(statePaths({ ROSETTA_VM_HOME: path.join(folder, 'x'.repeat(100)) }));
    expect(byId(checks, 'sockets')).toMatchObject({
      status: 'missing',
      fix: expect.stringContaining('ROSETTA_VM_HOME'),
    });
  });

  test('notices a state folder that is a file', async () => {
    const folder = await temporaryFolder();
    await writeFile(path.join(folder, 'home'), '', { mode: 0o755 });
    const checks = await hostChecks(statePaths({ ROSETTA_VM_HOME: path.join(folder, 'home') }));
    expect(byId(checks, 'state')).toMatchObject({
      status: 'missing',
      what: expect.stringContaining('cannot be written'),
    });
  });
});

describe('ensureHost', () => {
  test('does nothing where all is there', async () => {
    const { paths, bin } = await host(ALL);
    const calls = await aptGet(bin, '');
    expect(await ensureHost(paths)).toEqual([]);
    await expect(calls()).rejects.toThrow('ENOENT');
  });

  test('installs what is missing without asking anything, and looks again', async () => {
    const { paths, bin } = await host(WITHOUT_QEMU);
    const calls = await aptGet(bin, installQemu(bin));
    const events: ProgressEvent[] = [];
    const done = await ensureHost(paths, { onProgress: (event) => void events.push(event) });
    expect(done).toEqual(['Installed qemu-system-arm.']);
    const [update, install] = await calls();
    expect(update).toMatch(/^noninteractive update /);
    expect(install).toMatch(/^noninteractive install --yes --no-install-recommends qemu-system-arm /);
    expect(events.flatMap((event) => (event.kind === 'begin' ? [event.id] : []))).toEqual([
      'host.update',
      'host.install',
    ]);
  });

  test('a list of packages that cannot be fetched stops nothing as long as the install works', async () => {
    const { paths, bin } = await host(WITHOUT_QEMU);
    await aptGet(bin, installQemu(bin), 'echo "E: Failed to fetch" >&2; exit 100');
    expect(await ensureHost(paths)).toEqual(['Installed qemu-system-arm.']);
  });

  test('a failed install is told with the end of its output', async () => {
    const { paths, bin } = await host(WITHOUT_QEMU);
    await aptGet(bin, 'echo "E: Unable to locate package"; exit 100');
    const error = await failure(ensureHost(paths));
    expect(error).toMatchObject({ code: 'E_HOST_MISSING', facts: { exitStatus: 100, packages: ['qemu-system-arm'] } });
    expect(error.why).toContain('E: Unable to locate package');
    expect(error.fix).toContain('qemu-system-arm');
  });

  test('an install that changed nothing is not believed', async () => {
    const { paths, bin } = await host(WITHOUT_QEMU);
    await aptGet(bin, '');
    expect(await failure(ensureHost(paths))).toMatchObject({
      code: 'E_HOST_UNSUPPORTED',
      why: expect.stringContaining('QEMU'),
    });
  });

  test('an abort ends apt-get', async () => {
    const { paths, bin } = await host(WITHOUT_QEMU);
    const calls = await aptGet(bin, 'exec sleep 60');
    const controller = new AbortController();
    const running = failure(ensureHost(paths, { signal: controller.signal }));
    await expect.poll(calls).toHaveLength(2);
    controller.abort();
    expect((await running).code).toBe('E_ABORTED');
  });

  test.each([
    ['dnf', 'sudo dnf install qemu-system-aarch64'],
    ['pacman', 'sudo pacman -S qemu-system-aarch64'],
    ['brew', 'brew install qemu'],
    ['nothing-known', 'qemu-system-arm'],
  ])('with %s in place of apt-get it says what to install', async (manager, command) => {
    const { paths, bin } = await host(WITHOUT_QEMU);
    await script(path.join(bin, manager), 'exit 9');
    const error = await failure(ensureHost(paths));
    expect(error).toMatchObject({ code: 'E_HOST_MISSING', fix: expect.stringContaining(command) });
  });

  test('an ordinary user whose sudo wants a password is told the command, since nobody can type one', async () => {
    const { paths, bin } = await host(WITHOUT_QEMU);
    await aptGet(bin, installQemu(bin));
    await script(path.join(bin, 'sudo'), 'echo "sudo: a password is required" >&2; exit 1');
    const root = vi.spyOn(process, 'getuid').mockReturnValue(1000);
    const error = await failure(ensureHost(paths));
    root.mockRestore();
    expect(error).toMatchObject({
      code: 'E_HOST_MISSING',
      fix: expect.stringMatching(/apt-get install .*qemu-system-arm/),
    });
  });
});

test('older releases have virtiofsd in another package', () => {
  expect(debianNames(['qemu-system-arm', 'virtiofsd'], 'bookworm')).toEqual(['qemu-system-arm', 'qemu-system-common']);
  expect(debianNames(['qemu-system-arm', 'virtiofsd'], 'trixie')).toEqual(['qemu-system-arm', 'virtiofsd']);
  expect(debianNames(['virtiofsd', 'virtiofsd'], null)).toEqual(['virtiofsd']);
});

test('doctor prints a line a capability, and why and how to mend it under those that are not well', () => {
  const text = renderDiagnosis(
    [
      { id: 'node', status: 'ok', what: 'Node.js 20', why: '', fix: '' },
      { id: 'qemu', status: 'missing', what: 'No QEMU', why: 'Not on PATH.', fix: 'Install it.' },
      { id: 'kvm', status: 'degraded', what: 'TCG', why: 'No KVM.', fix: '' },
    ],
    PLAIN,
  );
  expect(text.split('\n')).toEqual([
    'ok        node  Node.js 20',
    'missing   qemu  No QEMU',
    '          Why: Not on PATH.',
    '          Fix: Install it.',
    'degraded  kvm   TCG',
    '          Why: No KVM.',
    '',
  ]);
});

async function failure(running: Promise<unknown>): Promise<RosettaVmError> {
  try {
    await running;
  } catch (error) {
    if (error instanceof RosettaVmError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
