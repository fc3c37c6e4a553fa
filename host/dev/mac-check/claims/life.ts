/** A machine's life in the framework's own words: states, delegate, reset, saving, how many there may be. */
import path from 'node:path';
import type { VzConfiguration } from '../../../drivers/vz/addon.ts';
import { errorName } from '../../../drivers/vz/error-names.ts';
import { type Claim, type Context, fail, judged, noted, pass, said, unclear } from '../claim.ts';
import { emptyDisk } from './addon-scripts.ts';
import { allWell, driveMachines, linesOf, type Step } from './drive.ts';

const saveAndRestore = (file: string): readonly (readonly Step[])[] => [
  [['start'], ['pause'], ['save', file], ['stop']],
  [['restore', file], ['resume'], ['stop']],
];

const diskOf = ({ folder }: Context): string => path.join(folder, 'saved-disk.raw');

/** What a machine of rosetta-vm has beside the devices that every driven machine has. */
const withDevices = (context: Context): Partial<VzConfiguration> => ({
  disks: [{ bus: 'nvme', readOnly: false, attachment: { kind: 'file', path: diskOf(context) } }],
  shares: [{ tag: 'rvm-share', path: context.folder, readOnly: true }],
  rosetta: { tag: 'rvm-rosetta', caching: { kind: 'unix', path: '/dev/rvm-rosetta/rosetta.sock' } },
});

/** More than any number that was heard of; each is paused as soon as it runs. */
const MANY = 24;
const SMALL_BYTES = 256 * 2 ** 20;

export const LIFE_CLAIMS: readonly Claim[] = [
  {
    id: 'life-states',
    claim: 'start, pause, resume and stop pass through the documented states, and stop tells the delegate nothing.',
    source: 'VZVirtualMachine.h; Code-Hex/vz#154 for the delegate',
    how: 'A machine with a kernel and no root is started, paused, resumed and stopped.',
    needs: ['addon', 'signed-copy', 'machine'],
    commands: (context) => [
      driveMachines(context, 'states', { machines: [[['start'], ['pause'], ['resume'], ['stop']]] }),
    ],
    judge: ([result]) => {
      if (result === undefined) return unclear('');
      const lines = linesOf(result);
      const states = lines.flatMap(({ state }) => state ?? []).join(' ');
      const told = lines.some(({ event }) => event === 'stopped');
      return judged(
        allWell(lines) && !told && /running.*paused.*running.*stopped/.test(states),
        `states: ${states}${told ? '; the delegate was told' : ''}\n${said(result)}`,
      );
    },
  },
  {
    id: 'life-reset',
    claim: 'A guest that resets ends as stopped: it does not boot again.',
    source:
      'nothing was found about a guest’s reset (a panic with panic=1, reboot); QEMU is run with -no-reboot, and the driver counts on the same here',
    how: 'A kernel without a root panics and, with panic=1, resets after a second; 20 s are waited for the end.',
    needs: ['addon', 'signed-copy', 'machine'],
    commands: (context) => [
      driveMachines(context, 'reset', {
        machines: [[['start'], ['told', '"state":"(stopped|error)"']]],
        commandLine: 'panic=1',
      }),
    ],
    judge: ([result]) => {
      if (result === undefined) return unclear('');
      const lines = linesOf(result);
      const ended = lines.find(({ state }) => state === 'stopped' || state === 'error')?.state;
      const boots = result.stdout.match(/Linux version/g)?.length ?? 0;
      if (ended === 'stopped') return pass(said(result));
      if (boots > 1) return fail(`It boots again: ${boots} boots were seen.\n${said(result)}`);
      if (ended === 'error') return fail(said(result));
      return unclear(`Neither an end nor a second boot was seen.\n${said(result)}`);
    },
  },
  {
    id: 'life-save',
    claim: 'A paused machine without disks and shares can be saved, and restored by another of the same identity.',
    source:
      'there is no list of devices that can be saved; entropy and balloon are in doubt (cirruslabs/tart drops entropy)',
    how: 'start, pause, save, stop; then restore, resume and stop of a second machine.',
    needs: ['addon', 'signed-copy', 'machine', 'macos-14'],
    commands: (context) => [
      driveMachines(context, 'save', { machines: saveAndRestore(path.join(context.folder, 'state.vzsave')) }),
    ],
    judge: ([result]) => (result === undefined ? unclear('') : judged(allWell(linesOf(result)), said(result))),
  },
  {
    id: 'life-save-devices',
    claim:
      'A paused machine with an NVMe disk, a shared folder and the Rosetta share with its cache can be saved and restored as well.',
    source: 'there is no list of devices that can be saved; a machine of rosetta-vm has these',
    how: 'As life-save, with the three of them; a refusal names the device.',
    needs: ['addon', 'signed-copy', 'machine', 'macos-14', 'rosetta'],
    commands: (context) => [
      emptyDisk(diskOf(context)),
      driveMachines(context, 'save-devices', {
        machines: saveAndRestore(path.join(context.folder, 'devices.vzsave')),
        configuration: withDevices(context),
      }),
    ],
    judge: ([disk, result]) => {
      if (result === undefined || disk?.exitCode !== 0) return unclear(disk === undefined ? '' : said(disk));
      return judged(allWell(linesOf(result)), said(result));
    },
  },
  {
    id: 'life-balloon',
    claim: 'The balloon’s target can be set while the machine runs.',
    source: 'VZVirtioTraditionalMemoryBalloonDevice.h: a request that the guest may ignore',
    how: 'Half of the memory is asked for.',
    needs: ['addon', 'signed-copy', 'machine'],
    commands: (context) => [
      driveMachines(context, 'balloon', { machines: [[['start'], ['balloon', 2 ** 29], ['stop']]] }),
    ],
    judge: ([result]) => (result === undefined ? unclear('') : judged(allWell(linesOf(result)), said(result))),
  },
  {
    id: 'life-limit',
    claim: 'One machine too many is refused with VZErrorVirtualMachineLimitExceeded.',
    source: 'VZError.h has the number, no document says how many machines with Linux a Mac runs',
    how: `Machines are started and paused, up to ${MANY}, beside the one that this check has. How many went is wanted.`,
    needs: ['addon', 'signed-copy', 'machine'],
    commands: (context) => [
      driveMachines(context, 'limit', {
        machines: Array.from({ length: MANY }, () => [['start'], ['pause']] as const),
        configuration: { memorySize: SMALL_BYTES },
        together: true,
      }),
    ],
    judge: ([result]) => {
      if (result === undefined) return unclear('');
      const lines = linesOf(result);
      const went = lines.filter(({ state }) => state === 'paused').length;
      const refusal = lines.find(({ ok }) => ok === false)?.error;
      if (refusal == null) {
        if (went === MANY && allWell(lines)) return noted(`All of ${MANY} machines went.`);
        return result.exitCode === null ? fail(said(result)) : unclear(said(result));
      }
      const name = errorName(refusal.domain, refusal.code) ?? 'no name is known';
      const text = `${went} went; the next: ${refusal.domain} ${refusal.code} (${name})`;
      return name === 'VZErrorVirtualMachineLimitExceeded' ? noted(text) : fail(text);
    },
  },
];
