/** What no program can do: the report lists it with the steps, for those who have the time. */
import { type Claim, unclear } from '../claim.ts';

const byHand = (id: string, claim: string, source: string, how: string): Claim => ({
  id,
  claim,
  source,
  how,
  needs: ['hands'],
  commands: () => [],
  judge: () => unclear('Nobody did it.'),
});

export const CLAIMS_BY_HAND: readonly Claim[] = [
  byHand(
    'hand-sleep',
    'After a sleep of more than an hour the guest’s clock is right within a second of the wake.',
    'oomol/ovm saw guests crash half an hour after a sleep',
    'Start a machine, close the lid for an hour, open it, and run `date; rosetta-vm exec default -- date` at once.',
  ),
  byHand(
    'hand-terminal',
    'A machine survives the end of the terminal that started it, and so does its network.',
    'eclecticlight (January 2026): the exemption from Local Network privacy may end with Terminal',
    'Start a machine, quit the terminal program, open it again, and run `rosetta-vm exec default -- nslookup debian.org`.',
  ),
  byHand(
    'hand-prompts',
    'No prompt of the firewall or of Local Network privacy appears for the signed copy.',
    'a re-signed program is a new identity to macOS',
    'Watch for prompts while a machine starts and while a container publishes a port; say which appeared.',
  ),
  byHand(
    'hand-upgrade',
    'A machine that runs survives `npm install -g rosetta-vm` and `brew upgrade node`.',
    'bundle and addon lie beside the signed copy; nobody has tried it',
    'Start a machine, do both, and run `rosetta-vm exec default -- true` and `rosetta-vm down`.',
  ),
  byHand(
    'hand-install',
    'Where Rosetta is not installed, `rosetta-vm up` offers to install it, and an ordinary Node.js may do so.',
    'VZLinuxRosettaDirectoryShare: whether the call needs the entitlement is not said',
    'On a Mac without Rosetta, macOS 26 or older: run `rosetta-vm up` in a terminal and answer yes.',
  ),
  byHand(
    'hand-system-update',
    'After an update of macOS the cache of the older Rosetta is not used.',
    'no rule of invalidation was found; the cache’s folder is keyed by the digests of the share’s files',
    'Note `rosetta-vm cache stats` before and after an update of macOS; the folder must be another.',
  ),
  byHand(
    'hand-window',
    'A VZVirtualMachineView works in a process whose JavaScript runs in a Worker.',
    'react-x11 ships it; this version of rosetta-vm shows no window',
    'Nothing to do before rosetta-vm has a window.',
  ),
];
