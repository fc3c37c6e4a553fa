/** `up`, from a spec to a machine that is ready. It reads in the order in which it happens. */
import { mkdir, rm } from 'node:fs/promises';
import type { ImageRecord } from '../../images/image.ts';
import { defaultImageName } from '../../images/kernels.ts';
import type { Driver } from '../drivers/driver.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import { runtimeDirectory, type StatePaths } from '../paths.ts';
import { checkKernel, kernelFor } from '../plan/kernel.ts';
import { type ImageFacts, makePlan, runtimePlan } from '../plan/make-plan.ts';
import type { MachinePlan } from '../plan/plan.ts';
import { isLocked, lock } from '../process/lock.ts';
import { ignoreProgress, type ProgressSink, stage } from '../progress.ts';
import { checkMachineName, DEFAULT_IMAGE, type MachineSpec } from '../spec/spec.ts';
import { writeBootShare } from './boot-share.ts';
import { connectControl } from './control.ts';
import { copyDisk, fileBytes, growDisk, occupiedBytes } from './disks.ts';
import { removeAllButData } from './end.ts';
import { checkDataDisk } from './external-disk.ts';
import { hostFacts } from './host-facts.ts';
import { inspectMachine } from './inspect.ts';
import type { DryRun } from './machine.ts';
import type { UpOptions } from './machines.ts';
import { endOrphans } from './orphans.ts';
import { writePlan } from './plan-file.ts';
import {
  clearLastStop,
  type MachineFolder,
  type MachineRecord,
  machineFolder,
  newIdentity,
  readRecord,
  writeRecord,
} from './record.ts';
import { startHost } from './start-host.ts';
import { ensureSystemDisk, systemDiskImage } from './system-disk.ts';

/** A whole `up` under emulation, image included, takes a few minutes; the next one waits for it, ms. */
const COMMAND_LOCK_MS = 15 * 60_000;
const CONTROL_TIMEOUT_MS = 10_000;
const READY_TIMEOUT_MS = 8 * 60_000;

/** Resolves when the machine is ready. See {@link Machines.up}. */
export async function bringUp(
  paths: StatePaths,
  driver: Driver,
  name: string,
  spec: MachineSpec,
  options: UpOptions,
): Promise<void> {
  const { signal, onProgress = ignoreProgress } = options;
  const folder = machineFolder(paths, checkMachineName(name));
  await mkdir(folder.directory, { recursive: true, mode: 0o700 });
  const held = await lock(folder.commandLock, {
    timeoutMs: COMMAND_LOCK_MS,
    signal,
    what: `The machine ${name}`,
    onWait: () => onProgress({ kind: 'note', message: `Another command works on ${name}; waiting for it.` }),
  });
  try {
    const before = await readRecord(folder);
    if (await isLocked(folder.hostLock)) {
      await joinRunning(paths, name, spec, before, onProgress);
      return await settleDocker(paths, name, options);
    }
    const hadData = (await occupiedBytes(folder.dataDisk)) > 0;
    try {
      await start({ paths, driver, folder, draft: await recordFor(driver, name, spec, before), options });
    } catch (error) {
      await undo(folder, before, hadData);
      throw error;
    }
    await settleDocker(paths, name, options);
  } finally {
    await held.release();
  }
}

/** The machine runs: what is wrong with docker's own files is worth a note, not a failure. */
async function settleDocker(paths: StatePaths, name: string, options: UpOptions): Promise<void> {
  const { dockerContext = false, onProgress = ignoreProgress } = options;
  if (!dockerContext || (await inspectMachine(paths, name)).docker === null) return;
  const { docker: socket } = runtimePlan(runtimeDirectory(paths, name));
  try {
    const { selectContext } = await import('../docker/context.ts');
    const { problem } = await selectContext(name, socket);
    if (problem !== null) onProgress({ kind: 'note', message: `docker does not use ${name} by itself: ${problem}` });
  } catch (error) {
    const { what, why, fix } = asRosettaVmError(error);
    onProgress({ kind: 'note', message: `${what} ${why} ${fix}` });
  }
}

/** The whole record but its image, which is settled later. */
type Draft = Omit<MachineRecord, 'imageId'>;

/** The machine that is started, and with what. */
interface Starting {
  readonly paths: StatePaths;
  readonly driver: Driver;
  readonly folder: MachineFolder;
  readonly draft: Draft;
  readonly options: UpOptions;
}

async function start(starting: Starting): Promise<void> {
  const { paths, driver, folder, draft, options } = starting;
  const { signal, onProgress = ignoreProgress, ask } = options;
  const { spec } = draft;
  const draftPlan = await planFor(starting, imageToCome(paths));
  await withRefusals(driver, () => checkDataDisk(paths, draftPlan));
  await driver.prepare?.(draftPlan, { onProgress, signal, ask });
  const image = await imageFor(starting);
  const plan = await planFor(starting, image);
  const systemDisk = await ensureSystemDisk({ driver, image, spec, paths, signal, onProgress });
  await stage(onProgress, 'machine.prepare', 'Preparing the machine', async () => {
    await endOrphans(plan.runtime.directory);
    await prepareDisks(folder, plan, image.id, systemDisk, signal);
    await writeBootShare(folder.boot, plan);
    await writePlan(folder.plan, plan);
    await writeRecord(folder, { ...draft, imageId: image.id });
    await clearLastStop(folder);
  });
  await startHost({ driver, paths, folder, controlSocket: plan.runtime.control, signal, onProgress });
}

/** What `up` would do; nothing is written. */
export async function dryRun(paths: StatePaths, driver: Driver, name: string, spec: MachineSpec): Promise<DryRun> {
  const folder = machineFolder(paths, checkMachineName(name));
  const { findImage } = await imageBuilder();
  const existing = await findImage(paths, imageName(spec)).catch((error: unknown) => {
    if (error instanceof RosettaVmError && error.code === 'E_IMAGE_NOT_FOUND') return null;
    throw error;
  });
  if (existing !== null) checkKernel(spec, hostFacts(), existing.kernelVersion);
  const draft = await recordFor(driver, name, spec, await readRecord(folder));
  const plan = await planFor({ paths, driver, folder, draft }, existing ?? imageToCome(paths));
  const imageExists = existing !== null && !(await isOutdated(existing, spec));
  return { plan, commands: await driver.explain(plan), imageExists };
}

async function recordFor(
  driver: Driver,
  name: string,
  spec: MachineSpec,
  before: MachineRecord | null,
): Promise<Draft> {
  if (before !== null) return { ...before, spec };
  const identity = newIdentity(await driver.newMachineIdentifier?.());
  return { schemaVersion: 1, name, createdAt: Date.now(), spec, ...identity };
}

/** Loaded late: it is large, and most commands need none of it. */
const imageBuilder = () => import('../../images/index.ts');

/** Each kernel has a default image of its own. */
const imageName = (spec: MachineSpec): string =>
  spec.image === DEFAULT_IMAGE ? defaultImageName(kernelFor(spec, hostFacts())) : spec.image;

/** The image that the spec names, or null for the default one when it does not exist yet. */
async function namedImage(paths: StatePaths, spec: MachineSpec): Promise<ImageRecord | null> {
  const { findImage } = await imageBuilder();
  try {
    const image = await findImage(paths, imageName(spec));
    checkKernel(spec, hostFacts(), image.kernelVersion);
    return image;
  } catch (error) {
    const missing = error instanceof RosettaVmError && error.code === 'E_IMAGE_NOT_FOUND';
    if (missing && spec.image === DEFAULT_IMAGE) return null;
    throw error;
  }
}

/**
 * The default image is this version's own: one that another version made is built anew. Without a network the old one has
 * to do, and `up` says so.
 */
async function imageFor(starting: Starting): Promise<ImageRecord> {
  const { paths, draft, options } = starting;
  const { spec } = draft;
  const existing = await namedImage(paths, spec);
  if (existing !== null && !(await isOutdated(existing, spec))) return existing;
  try {
    return await defaultImage(starting);
  } catch (error) {
    if (existing === null || asRosettaVmError(error).code !== 'E_NETWORK') throw error;
    const { what } = asRosettaVmError(error);
    const message = `The guest image is another version's, and a new one needs the network: ${what}`;
    options.onProgress?.({ kind: 'note', message });
    return existing;
  }
}

/** Whether it is the default image as another version made it. */
async function isOutdated(image: ImageRecord, spec: MachineSpec): Promise<boolean> {
  if (spec.image !== DEFAULT_IMAGE) return false;
  const { isOfThisVersion } = await imageBuilder();
  return !(await isOfThisVersion(image, kernelFor(spec, hostFacts())));
}

/** Builds the default image. What this host lacks for a machine is told before minutes go into that. */
async function defaultImage(starting: Starting): Promise<ImageRecord> {
  const { paths, driver, draft, options } = starting;
  await driver.explain(await planFor(starting, imageToCome(paths)));
  const { buildImage } = await imageBuilder();
  const { signal, onProgress = ignoreProgress, mirror } = options;
  return await stage(onProgress, 'image.build', 'Building the guest image', () =>
    buildImage({ store: paths, kernel: kernelFor(draft.spec, hostFacts()), signal, onProgress, mirror }),
  );
}

async function planFor(
  { paths, driver, folder, draft }: Omit<Starting, 'options'>,
  image: ImageFacts,
): Promise<MachinePlan> {
  const machine = {
    name: folder.name,
    directory: folder.directory,
    runtimeDirectory: runtimeDirectory(paths, folder.name),
    cid: draft.cid,
    macAddress: draft.macAddress,
    machineIdentifier: draft.machineIdentifier,
    dataDiskBytes: await fileBytes(folder.dataDisk),
  };
  return await withRefusals(driver, () => makePlan(draft.spec, hostFacts(), machine, image));
}

/** What is refused before the driver is asked, it tells all the same: see {@link Driver.refusal}. */
export async function withRefusals<T>(driver: Driver, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw driver.refusal?.(error) ?? error;
  }
}

/**
 * The system disk is replaceable: one of another image is made anew. The data disk is only ever created or grown, and one
 * that is no file of the machine is left as it is.
 */
async function prepareDisks(
  folder: MachineFolder,
  plan: MachinePlan,
  imageId: string,
  systemDisk: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if ((await systemDiskImage(folder.systemDisk)) !== imageId) await copyDisk(systemDisk, folder.systemDisk, signal);
  const data = plan.disks.find(({ role }) => role === 'data');
  if (data?.attachment.kind === 'file') await growDisk(data.attachment.path, data.sizeBytes);
}

/** A failed `up` leaves the machine as it was: absent, kept, or with its former record. */
async function undo(folder: MachineFolder, before: MachineRecord | null, hadData: boolean): Promise<void> {
  if (before !== null) return await writeRecord(folder, before);
  if (hadData) return await removeAllButData(folder);
  await rm(folder.directory, { recursive: true, force: true });
}

/** A machine that runs already is waited for, whoever started it. */
async function joinRunning(
  paths: StatePaths,
  name: string,
  spec: MachineSpec,
  record: MachineRecord | null,
  onProgress: ProgressSink,
): Promise<void> {
  const { control: socket } = runtimePlan(runtimeDirectory(paths, name));
  const control = await connectControl(socket, CONTROL_TIMEOUT_MS, ({ progress }) => onProgress(progress));
  if (control === null) {
    throw new RosettaVmError('E_STATE', {
      what: `The machine ${name} does not answer.`,
      why: 'Its host process holds the machine and does not listen.',
      fix: `End it with \`rosetta-vm down ${name} --force\`, then start it again.`,
    });
  }
  try {
    await control.call('ready', {}, READY_TIMEOUT_MS);
  } finally {
    control.close();
  }
  if (JSON.stringify(record?.spec) !== JSON.stringify(spec)) {
    const message = `${name} runs already; what is new in its settings counts after \`rosetta-vm down ${name}\`.`;
    onProgress({ kind: 'note', message });
  }
}

/** Where the parts of an image will be, for a dry run before there is one. */
function imageToCome(paths: StatePaths): ImageFacts {
  const directory = `${paths.images}/to-be-built`;
  return {
    id: 'to-be-built',
    directory,
    kernel: `${directory}/vmlinuz`,
    initialRamdisk: `${directory}/initrd`,
    translators: `${directory}/translators`,
  };
}
