/** What the numbers were measured on: enough to compare with, and nothing that names the machine. */
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { z } from 'zod';
import { diagnose } from '../host/doctor/index.ts';
import type { MachineStatus, StatePaths } from '../host/index.ts';

export const hostDescriptionSchema = z.object({
  cpu: z.string(),
  cpus: z.number(),
  memoryBytes: z.number(),
  os: z.string(),
  arch: z.string(),
  node: z.string(),
  /** Absent where QEMU is not what runs machines. */
  qemu: z.string().optional(),
  /** `native`: the CPU runs the guest itself; `emulated`: absolute times say little, ratios hold. */
  execution: z.enum(['native', 'emulated']),
  guest: z.object({ kernel: z.string(), memoryBytes: z.number(), image: z.string() }),
});

export type HostDescription = z.infer<typeof hostDescriptionSchema>;

/** Describes this host and a machine that runs on it. */
export async function describeThisHost(paths: StatePaths, status: MachineStatus): Promise<HostDescription> {
  const { capabilities } = await diagnose(paths);
  const find = (id: string) => capabilities.find((one) => one.id === id);
  const qemu = /\d+\.\d+\.\d+/.exec(find('qemu')?.what ?? '')?.[0];
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cpus: os.cpus().length,
    memoryBytes: os.totalmem(),
    os: await operatingSystem(),
    arch: os.arch(),
    node: process.versions.node,
    ...(qemu === undefined ? {} : { qemu }),
    execution: (find('accelerator')?.status ?? 'ok') === 'ok' ? 'native' : 'emulated',
    guest: {
      kernel: status.health?.kernel ?? 'unknown',
      memoryBytes: status.health?.memory.totalBytes ?? 0,
      image: status.image ?? 'unknown',
    },
  };
}

/** os-release(5), or what the kernel calls itself. */
export async function operatingSystem(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(text)?.[1] ?? `${os.type()} ${os.release()}`;
}
