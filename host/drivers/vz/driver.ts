/**
 * The driver for Macs: arm64 guests under Virtualization.framework, through the native addon. Checked against a stand-in
 * of the addon (test/stand-in/vz-addon.ts) and never run on a Mac.
 */
import { RosettaVmError } from '../../errors.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import type { Driver } from '../driver.ts';
import type { VzAddon, VzConfiguration, VzHostReport } from './addon.ts';
import {
  canSave,
  describeMac,
  describeWithoutAddon,
  requireEntitlement,
  requireMac,
  versionOf,
} from './capabilities.ts';
import { vzConfiguration } from './configuration.ts';
import { asEarlyRefusal, asSpecRefusal } from './early-refusal.ts';
import { explainConfiguration } from './explain.ts';
import { hostReport } from './host-report.ts';
import { VZ_LIMITS, type VzLimits } from './limits.ts';
import { VzMachine } from './vm.ts';

export interface VzDriverOptions {
  /** Loads the native addon. Rejects with a {@link RosettaVmError} that says what is missing. */
  readonly loadAddon: () => Promise<VzAddon>;
  /** Release of this Mac's kernel: see {@link hostReport}. */
  readonly darwin?: string;
  readonly limits?: VzLimits;
}

/** Makes the driver; nothing is loaded or asked before a method is called. */
export function vzDriver({ loadAddon, darwin, limits = VZ_LIMITS }: VzDriverOptions): Driver {
  const look = async (): Promise<{ readonly addon: VzAddon; readonly report: VzHostReport }> => {
    const addon = await loadAddon();
    return { addon, report: hostReport(addon, darwin) };
  };
  return {
    name: 'vz',
    probe: async () => {
      try {
        return describeMac((await look()).report);
      } catch (error) {
        if (error instanceof RosettaVmError) return describeWithoutAddon(error);
        throw error;
      }
    },
    create: async (plan) => {
      const { addon, report } = await look();
      requireMac(report, plan);
      requireEntitlement(report);
      return new VzMachine({
        plan,
        configuration: configure(plan, report),
        addon,
        notSaveable: canSave(report) ? null : `It needs macOS 14 on Apple silicon; this is ${versionOf(report)}.`,
        limits,
      });
    },
    // Asked in a process that need not be entitled to run machines: the one that runs them is.
    explain: async (plan) => {
      const { report } = await look();
      requireMac(report, plan);
      return explainConfiguration(configure(plan, report));
    },
    refusal: asSpecRefusal,
    newMachineIdentifier: async () => (await look()).addon.newMachineIdentifier(),
  };
}

function configure(plan: MachinePlan, report: VzHostReport): VzConfiguration {
  try {
    return vzConfiguration(plan, report);
  } catch (error) {
    throw asEarlyRefusal(error);
  }
}
