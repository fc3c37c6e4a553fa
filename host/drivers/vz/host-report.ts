/** What this Mac is, with one source for its version: plan and driver must not take it for two. */
import { type MacOSVersion, macOSOfDarwin } from '../../plan/macos.ts';
import type { VzAddon, VzHostReport } from './addon.ts';
import { parseHostReport } from './messages.ts';

/**
 * The addon's report. `darwin`, the release of the kernel, says which macOS it is: what NSProcessInfo says depends on the
 * SDK that the program was built with, and node's is its own. Without one the addon's word counts. Throws `E_PROTOCOL`,
 * and what {@link macOSOfDarwin} throws.
 */
export function hostReport(addon: VzAddon, darwin: string | undefined): VzHostReport {
  const report = parseHostReport(addon.hostReport());
  const macOS: MacOSVersion = darwin === undefined ? report.macOS : macOSOfDarwin(darwin);
  return { ...report, macOS };
}
