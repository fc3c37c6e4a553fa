/** A machine's life in the framework's own words: states, delegate, connections, saving. */
import path from 'node:path';
import { z } from 'zod';
import { type Claim, type Context, judged, noted, type Result, said, unclear } from '../claim.ts';
import { driveMachines } from './addon-scripts.ts';

/** A line of the driven machines: what was asked, what was answered, what was told. */
const LINE = z.looseObject({
  asked: z.string().optional(),
  silent: z.string().optional(),
  done: z.boolean().optional(),
  id: z.number().optional(),
  ok: z.boolean().optional(),
  event: z.string().optional(),
  state: z.string().optional(),
});
type Line = z.infer<typeof LINE>;

function linesOf(result: Result | undefined): Line[] {
  return (result?.stdout ?? '').split('\n').flatMap((text) => {
    try {
      return [LINE.parse(JSON.parse(text))];
    } catch {
      return [];
    }
  });
}

/** Whether every request was answered well and the program came to its end. */
const allWell = (lines: readonly Line[]): boolean =>
  lines.some(({ done }) => done === true) && lines.every(({ ok, silent }) => ok !== false && silent === undefined);

const saved = ({ folder }: Context): string => path.join(folder, 'state.vzsave');

export const LIFE_CLAIMS: readonly Claim[] = [
  {
    id: 'life-states',
    claim: 'start, pause, resume and stop pass through the documented states, and stop tells the delegate nothing.',
    source: 'VZVirtualMachine.h; Code-Hex/vz#154 for the delegate',
    how: 'A machine with a kernel and no root is started, paused, resumed and stopped.',
    needs: ['addon', 'signed-copy', 'machine'],
    commands: (context) => [driveMachines(context, [[['start'], ['pause'], ['resume'], ['stop']]])],
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
    id: 'life-silent-port',
    claim: 'A connection to a port on which nobody listens comes to an end by itself.',
    source: 'VZVirtioSocketDevice.h says that it does nothing; containerization sees an error and tries again',
    how: 'The same machine is asked for port 4242; the answer, or 20 s of silence, is wanted.',
    needs: ['addon', 'signed-copy', 'machine'],
    commands: (context) => [driveMachines(context, [[['start'], ['connect', 4242], ['stop']]])],
    judge: ([result]) => (result === undefined ? unclear('') : noted(said(result))),
  },
  {
    id: 'life-save',
    claim: 'A paused machine of this configuration can be saved, and restored by another of the same identity.',
    source:
      'there is no list of devices that can be saved; entropy and balloon are in doubt (cirruslabs/tart drops entropy)',
    how: 'start, pause, save, stop; then restore, resume and stop of a second machine.',
    needs: ['addon', 'signed-copy', 'machine', 'macos-14'],
    commands: (context) => [
      driveMachines(context, [
        [['start'], ['pause'], ['save', saved(context)], ['stop']],
        [['restore', saved(context)], ['resume'], ['stop']],
      ]),
    ],
    judge: ([result]) => (result === undefined ? unclear('') : judged(allWell(linesOf(result)), said(result))),
  },
  {
    id: 'life-balloon',
    claim: 'The balloon’s target can be set while the machine runs.',
    source: 'VZVirtioTraditionalMemoryBalloonDevice.h: a request that the guest may ignore',
    how: 'Half of the memory is asked for.',
    needs: ['addon', 'signed-copy', 'machine'],
    commands: (context) => [driveMachines(context, [[['start'], ['balloon', 2 ** 29], ['stop']]])],
    judge: ([result]) => (result === undefined ? unclear('') : judged(allWell(linesOf(result)), said(result))),
  },
  {
    id: 'life-nbd-absent',
    claim: 'A network block device whose server is not there is told as an error, and ends no process.',
    source: 'VZNetworkBlockDeviceStorageDeviceAttachment.h; superhq-ai/shuru#25 saw the start fail on macOS 26.3',
    how: 'A machine with such a disk is started; what it says is wanted.',
    needs: ['addon', 'signed-copy', 'machine', 'macos-14'],
    commands: (context) => [
      driveMachines(context, [[['start'], ['stop']]], {
        disks: [
          { bus: 'nvme', readOnly: true, attachment: { kind: 'nbd', url: 'nbd://127.0.0.1:1/none', timeout: 5 } },
        ],
      }),
    ],
    judge: ([result]) => {
      if (result === undefined) return unclear('');
      return result.exitCode === null ? judged(false, said(result)) : noted(said(result));
    },
  },
];
