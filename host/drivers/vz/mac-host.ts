/** What a Mac adds to the driver: Rosetta's install, the signed host program, the sign of a wake. */
import type { Driver, HostProgram, PrepareOptions } from '../driver.ts';
import type { VzAddon } from './addon.ts';
import { hostReport } from './host-report.ts';
import { ensureRosetta } from './install-rosetta.ts';
import { realSurroundings, type Surroundings, signedHostProgram } from './signed-host/program.ts';
import { watchWake } from './wake.ts';

type HostProgramOptions = Omit<PrepareOptions, 'ask'>;

export interface MacHostOptions {
  readonly loadAddon: () => Promise<VzAddon>;
  /** Path of the addon that {@link loadAddon} loads. */
  readonly addonFile: () => Promise<string>;
  /** Folder of the signed copies of node. */
  readonly hosts: string;
  readonly surroundings?: Surroundings;
}

/** The same driver with the members that only matter on a Mac itself. */
export function withMacHost(driver: Driver, options: MacHostOptions): Driver {
  const { loadAddon, addonFile, hosts, surroundings = realSurroundings() } = options;
  const hostProgram = async ({ onProgress, signal }: HostProgramOptions): Promise<HostProgram> =>
    await signedHostProgram({ onProgress, signal, hosts, surroundings, addon: await addonFile() });
  return {
    ...driver,
    prepare: async (plan, prepareOptions) => {
      if (plan.translator.name === 'rosetta') {
        const addon = await loadAddon();
        await ensureRosetta({ ...prepareOptions, addon, report: hostReport(addon, surroundings.darwin) });
      }
      // What keeps the copy from being made is told before minutes go into an image.
      await (await hostProgram(prepareOptions)).release();
    },
    hostProgram,
    watchWake: async (onWake) => watchWake(await loadAddon(), onWake),
  };
}
