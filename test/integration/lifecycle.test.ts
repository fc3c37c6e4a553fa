/**
 * A machine's whole life, and every way in which it can be cut short. One machine, `life`, in one order of events, without
 * Docker, whose life engine.test.ts follows.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { machineFolder } from '../../host/machine/record.ts';
import { packageFile } from '../../host/package-root.ts';
import { runtimeDirectory, statePaths } from '../../host/paths.ts';
import { parseSpec } from '../../host/spec/spec.ts';
import { machines, putAmd64, rosettaVm, runInGuest } from './support.ts';

const NAME = 'life';
const SPEC_FILE = path.join(tmpdir(), `rvm-life-${process.pid}.yaml`);
/** More than one CPU, as a user's machine has; without Docker that costs little beside another machine. */
const SIZES = ['--file', SPEC_FILE, '--memory', '1GiB', '--disk', '2GiB', '--cpus', '2'];
const paths = statePaths();
const folder = machineFolder(paths, NAME);
const runtime = runtimeDirectory(paths, NAME);

/** Processes that have the machine's socket folder or its name's host process in their arguments. */
async function processesOfMachine(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,args=', '-ww']);
  return stdout.split('\n').filter((line) => line.includes(`${runtime}/`) || line.includes(`machine-host.js ${NAME} `));
}

async function pidOf(pattern: RegExp): Promise<number> {
  const line = (await processesOfMachine()).find((one) => pattern.test(one));
  return Number(line?.trim().split(/\s+/)[0] ?? Number.NaN);
}

async function note(text: string): Promise<void> {
  const { exit } = await runInGuest(await machines.agent(NAME), ['sh', '-c', `echo ${text} >> /data/notes && sync`]);
  expect(exit).toMatchObject({ code: 0 });
}

async function notes(): Promise<string> {
  return (await runInGuest(await machines.agent(NAME), ['cat', '/data/notes'])).stdout;
}

/** Runs an x86_64 program that needs glibc in the guest. */
async function runAmd64(): Promise<void> {
  const agent = await machines.agent(NAME);
  await putAmd64(agent, '/tmp/program', 'int main(void) { return 0; }');
  expect(await runInGuest(agent, ['/tmp/program'])).toMatchObject({ stderr: '', exit: { code: 0 } });
}

beforeAll(async () => {
  await writeFile(SPEC_FILE, 'engine:\n  enabled: false\n');
  await rosettaVm(['delete', NAME, '--yes']);
});
afterAll(async () => {
  await rm(SPEC_FILE, { force: true });
  await rosettaVm(['down', NAME, '--force']);
  await rosettaVm(['delete', NAME, '--yes']);
});

describe.sequential('a machine', () => {
  test('a dry run shows the plan and leaves nothing on disk', async () => {
    const { status, stdout } = await rosettaVm(['up', NAME, ...SIZES, '--dry-run', '--json']);
    expect(status).toBe(0);
    const [{ plan, commands }] = JSON.parse(stdout);
    expect(plan).toMatchObject({ name: NAME, memoryMiB: 1024, cpus: 2 });
    expect(JSON.stringify(commands)).toContain('qemu-system-aarch64');
    await expect(stat(folder.directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.each([
    'Preparing the machine',
    'Starting the virtual machine',
    'Waiting for the guest',
    'Registering the translator',
  ])('Ctrl-C at "%s" leaves nothing: no process, no folder', async (stage) => {
    const up = spawn(process.execPath, [packageFile('dist/rosetta-vm.js'), 'up', NAME, ...SIZES], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = once(up, 'exit');
    let text = '';
    up.stderr.on('data', (chunk) => {
      text += chunk;
    });
    await expect.poll(() => text, { timeout: 60_000, interval: 20 }).toContain(stage);
    up.kill('SIGINT');
    expect(await exited).toEqual([130, null]);
    expect(await processesOfMachine()).toEqual([]);
    await expect(stat(folder.directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('of two `up` at once one starts it and the other waits; both succeed', async () => {
    const both = await Promise.all([1, 2].map(() => rosettaVm(['up', NAME, ...SIZES])));
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(both.map(({ stderr }) => stderr).join('')).toContain('Another command works on life');
    expect((await processesOfMachine()).filter((line) => line.includes('machine-host.js'))).toHaveLength(1);
    await note('first');
  });

  test('the host process stays under 90 MB', async () => {
    const { process: host } = await machines.status(NAME);
    expect(host?.memoryBytes).toBeLessThan(90_000_000);
  });

  test('memory that the guest has no use for any more goes back to the host', async () => {
    const residentMiB = async (): Promise<number> => {
      const status = await readFile(`/proc/${await pidOf(/ -name /)}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
    };
    const before = await residentMiB();
    const inGuest = async (script: string) => await runInGuest(await machines.agent(NAME), ['sh', '-c', script]);
    await inGuest('head -c 314572800 /dev/zero > /tmp/large');
    expect(await residentMiB()).toBeGreaterThan(before + 200);
    await inGuest('rm /tmp/large');
    // The guest's kernel reports what has been free for two seconds (mm/page_reporting.c).
    await expect.poll(residentMiB, { timeout: 30_000 }).toBeLessThan(before + 100);
  });

  test('answers again after QEMU has stood still for longer than anybody waits', async () => {
    const qemu = await pidOf(/ -name /);
    process.kill(qemu, 'SIGSTOP');
    try {
      // The limit that it meets is that of a connection to the guest: what a busy host does to it.
      const lost = await rosettaVm(['exec', NAME, '--', 'true']);
      expect(lost).toMatchObject({ status: 125, stderr: expect.stringContaining('did not answer') });
    } finally {
      process.kill(qemu, 'SIGCONT');
    }
    expect(await rosettaVm(['exec', NAME, '--', 'true'])).toMatchObject({ status: 0 });
    expect(await notes()).toContain('first');
  });

  test('`up` on a running machine is quick and says that new settings wait', async () => {
    const { status, stderr } = await rosettaVm(['up', NAME, '--memory', '2GiB']);
    expect(status).toBe(0);
    expect(stderr).toContain('counts after');
  });

  test('a running machine is not deleted', async () => {
    expect(await rosettaVm(['delete', NAME, '--yes'])).toMatchObject({ status: 4 });
    expect(await notes()).toBe('first\n');
  });

  test('a host process killed with -9 takes QEMU and the helpers along, and `up` recovers', async () => {
    process.kill(await pidOf(/machine-host\.js/), 'SIGKILL');
    await expect.poll(processesOfMachine, { timeout: 10_000 }).toEqual([]);
    const { state, reason } = await machines.status(NAME);
    expect({ state, reason }).toEqual({ state: 'stopped', reason: expect.stringContaining('killed') });
    expect(await rosettaVm(['up', NAME])).toMatchObject({ status: 0 });
    expect(await notes()).toBe('first\n');
  });

  test('a killed QEMU is told, and `up` recovers', async () => {
    await note('second');
    process.kill(await pidOf(/ -name /), 'SIGKILL');
    await expect.poll(async () => (await machines.status(NAME)).state, { timeout: 15_000 }).toBe('stopped');
    expect((await machines.status(NAME)).reason).toContain('SIGKILL');
    expect(await processesOfMachine()).toEqual([]);
    expect(await rosettaVm(['exec', NAME, '--', 'true'])).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('rosetta-vm up life'),
    });
  });

  test('files that a reboot would leave do not confuse it', async () => {
    // A lock file with another's number, sockets without a listener: what is on disk after the power went.
    await writeFile(folder.hostLock, '1\n');
    await promisify(execFile)('mkdir', ['-p', runtime]);
    await promisify(execFile)('python3', [
      '-c',
      'import socket,sys\nfor p in sys.argv[1:]: socket.socket(socket.AF_UNIX).bind(p)',
      ...['control.sock', 'agent.sock', 'qmp.sock'].map((name) => `${runtime}/${name}`),
    ]);
    expect((await machines.status(NAME)).state).toBe('stopped');
    expect(await rosettaVm(['up', NAME])).toMatchObject({ status: 0 });
    expect(await notes()).toBe('first\nsecond\n');
  });

  test('`down` stops it through the guest, which says so, and a second `down` is no error', async () => {
    await runAmd64();
    expect(await rosettaVm(['down', NAME])).toMatchObject({ status: 0 });
    expect(await processesOfMachine()).toEqual([]);
    expect(await machines.status(NAME)).toMatchObject({ state: 'stopped', reason: '' });
    expect(await rosettaVm(['down', NAME])).toMatchObject({ status: 0 });
  });

  test('a disk does not shrink, and nothing changes when it is asked to', async () => {
    const before = await readFile(folder.record, 'utf8');
    const { status, stderr } = await rosettaVm(['up', NAME, '--disk', '1GiB']);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('would shrink') });
    expect(await readFile(folder.record, 'utf8')).toBe(before);
  });

  test('without a terminal `delete` asks nothing and removes nothing', async () => {
    expect(await rosettaVm(['delete', NAME])).toMatchObject({ status: 2, stderr: expect.stringContaining('--yes') });
    expect((await machines.status(NAME)).state).toBe('stopped');
  });

  test('the data disk survives `delete --keep-data`, and a grown one keeps its content', async () => {
    const { status, stdout, stderr } = await rosettaVm(['delete', NAME, '--keep-data', '--yes']);
    expect(status).toBe(0);
    expect(`${stdout}${stderr}`).toMatch(/data disk/);
    expect((await machines.status(NAME)).state).toBe('kept');
    await machines.up(NAME, parseSpec({ memory: '1GiB', disk: '3GiB' }));
    expect(await notes()).toBe('first\nsecond\n');
    const { health } = await machines.status(NAME);
    expect(health?.dataDisk.totalBytes).toBeGreaterThan(2.5 * 1024 ** 3);
  });

  test('the router goes on counting the starts of programs where an earlier boot ended', async () => {
    const { stdout } = await rosettaVm(['logs', NAME]);
    expect(stdout).toMatch(/counted on.*programs=[1-9]/);
  });

  test('a machine that powers itself off is known to have done so', async () => {
    const agent = await machines.agent(NAME);
    await agent.shutdown();
    await expect.poll(async () => (await machines.status(NAME)).state, { timeout: 90_000 }).toBe('stopped');
    expect((await machines.status(NAME)).reason).not.toBe('');
  });

  test('`delete` leaves no trace', async () => {
    expect(await rosettaVm(['delete', NAME, '--yes'])).toMatchObject({ status: 0 });
    await expect(stat(folder.directory)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await rosettaVm(['status', NAME])).toMatchObject({ status: 3 });
  });
});
