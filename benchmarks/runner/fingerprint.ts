/** Names a session, and says what it was measured on. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { diagnose } from '../../host/doctor/index.ts';
import { RosettaVmError } from '../../host/errors.ts';
import type { MachineStatus, Machines, StatePaths } from '../../host/index.ts';
import { parseSpec } from '../../host/spec/spec.ts';
import { version } from '../../host/version.ts';
import { operatingSystem } from '../host-description.ts';
import type { Choice, Fingerprint, Session } from '../session.ts';
import type { Tier } from '../suites/schema.ts';
import { describeDisk } from './disk-machines.ts';
import type { SessionHead } from './recorder.ts';

const COMMAND_LIMIT_MS = 10_000;

/** `commit`: of what is measured. */
export function sessionHead(tier: Tier, choice: Choice, commit: Session['commit']): SessionHead {
  const date = new Date().toISOString();
  const id = `${date.replace(/[-:]/g, '').replace(/\.\d+Z$/, 'Z')}-${randomBytes(4).toString('hex')}`;
  return { id, date, version, commit, tier, choice };
}

/** Null when it fails or is not there. */
async function outputOf(program: string, args: readonly string[]): Promise<string | null> {
  const { failed, stdout } = await execa(program, args, { reject: false, stdin: 'ignore', timeout: COMMAND_LIMIT_MS });
  return failed ? null : stdout.trim();
}

/**
 * Of this host and a machine that runs on it. The translators are those that the machine has run so far; the runner adds
 * the others as it starts them. Throws `E_STATE` for a machine that does not run.
 */
export async function describeMachine(
  { machines, paths }: { readonly machines: Machines; readonly paths: StatePaths },
  status: MachineStatus,
): Promise<Fingerprint> {
  const { health, image } = status;
  if (health === null || image === null) throw notRunning(status.name);
  const { plan } = await machines.dryRun(status.name, status.spec ?? parseSpec({}));
  const { capabilities } = await diagnose(paths);
  const find = (id: string) => capabilities.find((one) => one.id === id);
  const qemu = /\d+\.\d+\.\d+/.exec(find('qemu')?.what ?? '')?.[0];
  const native = (find('accelerator')?.status ?? 'ok') === 'ok' && plan.qemu.accelerator !== 'tcg';
  const data = plan.disks.find(({ role }) => role === 'data');
  const { active } = health.translator;
  return {
    os: process.platform === 'darwin' ? await macOs() : await operatingSystem(),
    ...(process.platform === 'linux' ? { hostKernel: os.release() } : {}),
    architecture: os.arch(),
    cpu: os.cpus()[0]?.model.trim() || 'unknown',
    hostCpus: os.cpus().length,
    hostMemoryBytes: os.totalmem(),
    driver: plan.driver,
    accelerator: plan.driver === 'vz' ? 'vz' : native ? 'kvm' : 'tcg',
    ...(qemu === undefined ? {} : { hypervisor: `QEMU ${qemu}` }),
    guestKernel: health.kernel,
    translators: active === undefined ? {} : { [active.name]: active.build },
    image,
    disk: data === undefined ? 'none' : describeDisk(data),
    cpus: plan.cpus,
    memoryMiB: plan.memoryMiB,
    powerState: await powerState(),
  };
}

/** The build tells more than the version: the translator is a part of the system. Not run on a Mac. */
async function macOs(): Promise<string> {
  const [release, build] = await Promise.all([
    outputOf('sw_vers', ['-productVersion']),
    outputOf('sw_vers', ['-buildVersion']),
  ]);
  return release === null || build === null ? `${os.type()} ${os.release()}` : `macOS ${release} (${build})`;
}

const POWER_SUPPLIES = '/sys/class/power_supply';

/** A laptop on its battery is slower (sysfs-class-power; pmset(1), not run on a Mac). */
async function powerState(): Promise<Fingerprint['powerState']> {
  if (process.platform === 'darwin') {
    const text = (await outputOf('pmset', ['-g', 'batt'])) ?? '';
    return text.includes("'AC Power'") ? 'mains' : text.includes("'Battery Power'") ? 'battery' : 'unknown';
  }
  const read = (name: string, file: string): Promise<string> =>
    readFile(path.join(POWER_SUPPLIES, name, file), 'utf8').then(
      (text) => text.trim(),
      () => '',
    );
  const supplies = await Promise.all(
    (await readdir(POWER_SUPPLIES).catch(() => [])).map(async (name) => ({
      type: await read(name, 'type'),
      online: await read(name, 'online'),
      status: await read(name, 'status'),
    })),
  );
  if (supplies.some(({ type, online }) => type !== 'Battery' && online === '1')) return 'mains';
  return supplies.some(({ type, status }) => type === 'Battery' && status === 'Discharging') ? 'battery' : 'unknown';
}

const notRunning = (name: string): RosettaVmError =>
  new RosettaVmError('E_STATE', {
    what: `The machine ${name} cannot be described.`,
    why: 'Its agent does not answer.',
    fix: '`rosetta-vm status` says what state it is in.',
    facts: { machine: name },
  });
