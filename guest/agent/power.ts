/** How the guest and the agent end. */
import type { RunCommand } from './command.ts';
import { applet, type GuestSettings } from './settings.ts';

const POWEROFF_TIMEOUT_MS = 10_000;

export interface Power {
  /** Makes init run /etc/rosetta-vm/shutdown, which ends all programs (this one too), unmounts and cuts the power. */
  off(): Promise<void>;
  /** Ends the agent; init starts it again, from the boot share, so with what the host put there since. */
  restartAgent(): void;
}

export function guestPower(settings: GuestSettings, run: RunCommand): Power {
  return {
    off: async () => {
      await run(applet(settings, 'poweroff'), POWEROFF_TIMEOUT_MS);
    },
    restartAgent: () => process.exit(0),
  };
}
