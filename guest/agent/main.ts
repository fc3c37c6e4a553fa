/** Entry point of the bundle that init starts in the guest. */
import { startAgent } from './agent.ts';
import { GUEST_SETTINGS } from './settings.ts';

startAgent(GUEST_SETTINGS).catch((error: unknown) => {
  // On the console, and so in the host's serial log: there may be no other way to say it.
  console.error('rosetta-vm: the agent cannot start:', error);
  process.exit(1);
});
