/** The signed copy of node: whether macOS takes it. */
import path from 'node:path';
import { z } from 'zod';
import { type Claim, type Context, fail, judged, type Result, said, unclear } from '../claim.ts';
import { jsonIn } from '../json-in.ts';
import { HOMEBREW_NODE } from '../mac-facts.ts';
import { makeMachine, minimal } from './addon-scripts.ts';

const DOCTOR_LIMIT_MS = 4 * 60_000;

const doctor = ({ cli }: Context, env: Readonly<Record<string, string>> = {}) => ({
  argv: [...cli, 'doctor', '--fix', '--json'],
  env,
  limitMs: DOCTOR_LIMIT_MS,
});

const ROWS = z.array(
  z.looseObject({ id: z.string(), status: z.enum(['ok', 'degraded', 'missing']), what: z.string(), why: z.string() }),
);

/** The lines of `doctor --json` about the signed copy; empty when there is no such answer. */
function signedRows(result: Result | undefined): z.infer<typeof ROWS> {
  const rows = ROWS.safeParse(jsonIn(result?.stdout ?? ''));
  return rows.success ? rows.data.filter(({ id }) => id.startsWith('signed-')) : [];
}

function judgeDoctor([result]: readonly Result[]) {
  if (result === undefined) return unclear('It was not run.');
  const rows = signedRows(result);
  if (rows.length === 0) return fail(said(result));
  const bad = rows.filter(({ status }) => status !== 'ok');
  const tested = rows.some(({ id, status }) => id === 'signed-self-test' && status === 'ok');
  const lines = (bad.length > 0 ? bad : rows).map(({ id, status, what, why }) =>
    `${id} ${status}: ${what} ${why}`.trim(),
  );
  return judged(bad.length === 0 && tested, lines.join('\n'));
}

export const SIGNATURE_CLAIMS: readonly Claim[] = [
  {
    id: 'signature-plain',
    claim: 'A copy of this Node.js, signed ad hoc with the virtualization entitlement, starts and is entitled.',
    source: 'openai/tart#1285 saw it on macOS 26.5.1; no report for macOS 27',
    how: '`rosetta-vm doctor --fix` makes the copy and tries it; every line of it must be well.',
    needs: ['apple-silicon', 'addon'],
    commands: (context) => [doctor(context)],
    judge: judgeDoctor,
    shows: ([result]) => {
      const copy = signedRows(result).find(({ id }) => id === 'signed-copy');
      return copy === undefined ? { needs: [] } : { needs: ['signed-copy'], signedNode: copy.what };
    },
  },
  {
    id: 'signature-validates',
    claim: 'In the signed copy the framework accepts a machine’s configuration.',
    source: 'VZVirtualMachineConfiguration.h: without the entitlement every configuration is invalid',
    how: 'The addon makes a machine of a minimal configuration and starts nothing.',
    needs: ['addon', 'signed-copy'],
    commands: (context) => [makeMachine(context, context.signedNode ?? '', minimal(context))],
    judge: ([result]) => (result === undefined ? unclear('') : judged(result.stdout.trim() === 'made', said(result))),
  },
  {
    id: 'signature-needed',
    claim: 'In an ordinary Node.js the addon loads, and the framework refuses with a text that names the entitlement.',
    source: 'VZVirtualMachineConfiguration.h, VZErrorInvalidVirtualMachineConfiguration (2)',
    how: 'The same configuration in the Node.js that runs this check.',
    needs: ['apple-silicon', 'addon'],
    commands: (context) => [makeMachine(context, context.cli[0] ?? '', minimal(context))],
    judge: ([result]) =>
      result === undefined
        ? unclear('')
        : judged(/"code":2\b/.test(result.stdout) && /entitlement/i.test(result.stdout), said(result)),
  },
  {
    id: 'signature-hardened',
    claim: 'The same copy with the hardened runtime works as well.',
    source: 'Cilicon PR 84; the second try of the recipe depends on it',
    how: 'A second copy is signed with --options runtime and makes the same configuration.',
    needs: ['addon', 'signed-copy'],
    commands: (context) => {
      const node = context.signedNode ?? '';
      const copy = `${node}-hardened`;
      const plist = node.replace(/[^/]*$/, 'entitlements.plist');
      return [
        { argv: ['/bin/cp', node, copy] },
        {
          argv: ['/usr/bin/codesign', '--force', '--sign', '-', '--options', 'runtime', '--entitlements', plist, copy],
        },
        makeMachine(context, copy, minimal(context)),
      ];
    },
    judge: (results) => {
      const last = results.at(-1);
      return last === undefined ? unclear('') : judged(last.stdout.trim() === 'made', results.map(said).join('\n'));
    },
  },
  {
    id: 'signature-homebrew',
    claim: 'Homebrew’s Node.js works the same way, with a link to libnode beside the copy.',
    source: 'homebrew-core#256036; BasedHardware/omi PR 7803 used a real copy, the link is not reported',
    how: '`rosetta-vm doctor --fix` with ROSETTA_VM_NODE naming Homebrew’s.',
    needs: ['apple-silicon', 'addon', 'homebrew-node'],
    // In a state folder of its own: in the common one, a copy of another node would replace the one that later claims use.
    commands: (context) => [
      doctor(context, { ROSETTA_VM_NODE: HOMEBREW_NODE, ROSETTA_VM_HOME: path.join(context.folder, 'homebrew') }),
    ],
    judge: judgeDoctor,
  },
  {
    id: 'signature-without-tools',
    claim: 'codesign signs ad hoc without the Command Line Tools.',
    source: 'free-sidecar#3 and vercel/pkg#1201 (macOS 11) say it does not: codesign_allocate is a shim',
    how: 'Claim signature-plain on a Mac without them.',
    needs: ['apple-silicon', 'addon', 'no-command-line-tools'],
    commands: (context) => [doctor(context)],
    judge: judgeDoctor,
  },
];
