/** The truth about machines: what their locks, sockets and disks say, in that order. */
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { agentClient } from '../channel/agent-client.ts';
import { connectUnix } from '../channel/connect-unix.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import { runtimeDirectory, type StatePaths } from '../paths.ts';
import { runtimePlan } from '../plan/make-plan.ts';
import { isLocked } from '../process/lock.ts';
import { connectControl, type HostStatus } from './control.ts';
import { occupiedBytes } from './disks.ts';
import type { MachineStatus } from './machine.ts';
import { type MachineFolder, type MachineRecord, machineFolder, readLastStop, readRecord } from './record.ts';

/** A host process that holds its lock for longer than this without listening is stuck, ms. */
const START_GRACE_MS = 10_000;
/** How long the kernel may take to give up the lock of a process whose connections are cut already, ms. */
const DEATH_MS = 1_000;
const POLL_MS = 20;
const CONTROL_TIMEOUT_MS = 5_000;

/** Throws `E_NOT_FOUND`. */
export async function inspectMachine(paths: StatePaths, name: string): Promise<MachineStatus> {
  const folder = machineFolder(paths, name);
  const [record, dataDiskBytes, systemBytes, logBytes] = await Promise.all([
    readRecord(folder).catch(asRosettaVmError),
    occupiedBytes(folder.dataDisk),
    occupiedBytes(folder.systemDisk),
    Promise.all([folder.serialLog, folder.hostLog].map(occupiedBytes)),
  ]);
  const base: MachineStatus = {
    name,
    state: 'stopped',
    reason: '',
    directory: folder.directory,
    image: null,
    spec: null,
    createdAt: null,
    diskBytes: dataDiskBytes + systemBytes + logBytes.reduce((sum, bytes) => sum + bytes, 0),
    dataDiskBytes,
    process: null,
    health: null,
    translator: null,
    cache: null,
    engine: null,
    docker: null,
  };
  if (record === null) {
    if (dataDiskBytes === 0) throw notFound(name);
    return { ...base, state: 'kept', reason: 'It was deleted and its data disk kept; `up` takes it up again.' };
  }
  if (record instanceof RosettaVmError) {
    return { ...base, state: 'damaged', reason: `${record.why} ${record.fix}` };
  }
  return { ...base, ...described(record), ...(await liveState(paths, folder)) };
}

const described = (record: MachineRecord): Pick<MachineStatus, 'image' | 'spec' | 'createdAt'> => ({
  image: record.imageId,
  spec: record.spec,
  createdAt: record.createdAt,
});

async function liveState(paths: StatePaths, folder: MachineFolder): Promise<Partial<MachineStatus>> {
  if (!(await isLocked(folder.hostLock))) return { state: 'stopped', reason: await howItEnded(folder) };
  const runtime = runtimePlan(runtimeDirectory(paths, folder.name));
  try {
    const control = await connectControl(runtime.control, CONTROL_TIMEOUT_MS);
    if (control === null) return await silent(folder, 'Its host process does not listen.');
    try {
      const host = await control.call('status', {}, CONTROL_TIMEOUT_MS);
      const process = {
        pid: control.hello.pid,
        version: control.hello.version,
        startedAt: host.startedAt,
        memoryBytes: host.memoryBytes,
      };
      const guest = await guestState(host, () => control.call('agent', {}, CONTROL_TIMEOUT_MS));
      const runsDocker = guest.engine !== undefined && guest.engine?.state !== 'off';
      // A host process of an earlier version does not name the protocol: it forwards TCP alone.
      const ports = (host.ports ?? []).map((port) => ({ ...port, protocol: port.protocol ?? 'tcp' }));
      const docker = runsDocker ? { host: `unix://${runtime.docker}`, ports } : null;
      const reason = [guest.reason, host.diskProblem].filter((part) => part !== undefined).join(' ');
      return { process, ...guest, docker, ...(reason === '' ? {} : { reason }) };
    } finally {
      control.close();
    }
  } catch (error) {
    if (await isFreedSoon(folder.hostLock)) return { state: 'stopped', reason: await howItEnded(folder) };
    return await silent(folder, asRosettaVmError(error).what);
  }
}

/** Whether a process that did not answer was dying: its files are closed one by one, its sockets perhaps first. */
async function isFreedSoon(lock: string): Promise<boolean> {
  const deadline = performance.now() + DEATH_MS;
  while (await isLocked(lock)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

async function silent(folder: MachineFolder, reason: string): Promise<Partial<MachineStatus>> {
  const { mtimeMs } = await stat(folder.hostLock);
  return { state: Date.now() - mtimeMs < START_GRACE_MS ? 'starting' : 'unresponsive', reason };
}

async function guestState(
  host: HostStatus,
  address: () => Promise<{ readonly socket: string; readonly token: string }>,
): Promise<Partial<MachineStatus>> {
  if (host.phase !== 'running') return { state: host.phase };
  try {
    const { socket, token } = await address();
    const health = await agentClient({ connect: () => connectUnix(socket), token }).health();
    const { translator, cache, engine } = health;
    return { state: 'running', health, translator, cache, engine };
  } catch (error) {
    return { state: 'running', reason: `Its agent does not answer: ${asRosettaVmError(error).why}` };
  }
}

/** Empty for a machine that was stopped on request. */
async function howItEnded(folder: MachineFolder): Promise<string> {
  const last = await readLastStop(folder);
  if (last === null) return 'Its host process was killed, or this computer was restarted.';
  return last.kind === 'requested' ? '' : last.message;
}

export const notFound = (name: string): RosettaVmError =>
  new RosettaVmError('E_NOT_FOUND', {
    what: `There is no machine ${JSON.stringify(name)}.`,
    why: 'It was never created, or has been deleted.',
    fix: `\`rosetta-vm list\` shows the machines; \`rosetta-vm up ${name}\` creates it.`,
    facts: { name },
  });
