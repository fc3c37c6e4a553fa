/** What a Mac adds to the driver: Rosetta's install, the signed host program, the sign of a wake. */
import type { Driver } from '../driver.ts';
import type { VzAddon } from './addon.ts';
import { ensureRosetta } from './install-rosetta.ts';
import { parseHostReport } from './messages.ts';
import { signedHostProgram } from './signed-host/program.ts';
import { watchWake } from './wake.ts';

export interface MacHostOptions {
  readonly loadAddon: () => Promise<VzAddon>;
  /** Path of the addon that {@link loadAddon} loads. */
  readonly addonFile: () => Promise<string>;
  /** Folder of the signed copies of node. */
  readonly hosts: string;
}

/** The same driver with the members that only matter on a Mac itself. */
export function withMacHost(driver: Driver, { loadAddon, addonFile, hosts }: MacHostOptions): Driver {
  return {
    ...driver,
    prepare: async (plan, options) => {
      if (plan.translator.name !== 'rosetta') return;
      const addon = await loadAddon();
      await ensureRosetta({ ...options, addon, report: parseHostReport(addon.hostReport()) });
    },
    hostProgram: async (options) => await signedHostProgram({ ...options, hosts, addon: await addonFile() }),
    watchWake: async (onWake) => watchWake(await loadAddon(), onWake),
  };
}
