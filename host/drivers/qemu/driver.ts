/** The driver for Linux hosts: arm64 guests under QEMU, with KVM or emulated. */
import type { MachinePlan } from '../../plan/plan.ts';
import type { Driver } from '../driver.ts';
import { machineCommands } from './arguments.ts';
import { describeHost, requireTools } from './capabilities.ts';
import { type HostFindings, probeHost } from './probe.ts';
import { QemuMachine } from './vm.ts';

export interface QemuDriverOptions {
  /** Folder of tools taken from Debian (see host/paths.ts). */
  readonly toolsDirectory: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Makes the driver; nothing is looked at before a method is called. */
export function qemuDriver({ toolsDirectory, env = process.env }: QemuDriverOptions): Driver {
  const look = (): Promise<HostFindings> =>
    probeHost({ toolsDirectory, env, arch: process.arch, uid: process.getuid?.() ?? 0 });
  const commandsOf = async (plan: MachinePlan) => machineCommands(plan, requireTools(await look(), plan));
  return {
    name: 'qemu',
    probe: async () => describeHost(await look()),
    create: async (plan) => new QemuMachine(plan, await commandsOf(plan), env),
    explain: async (plan) => {
      const { helpers, qemu } = await commandsOf(plan);
      return [...helpers, qemu].map(({ argv }) => argv);
    },
  };
}
