/**
 * What only a Mac can show, as data: a claim, the commands that show it, and a judgement of what they said. Running them
 * is run.ts's work, so that every judgement is tested without a Mac.
 */
import type { CommandResult } from '../../process/run-command.ts';
import type { MacFacts } from './mac-facts.ts';

/** What a claim cannot be checked without. */
export const NEEDS = {
  'apple-silicon': 'a Mac with Apple silicon',
  'macos-14': 'macOS 14 or newer',
  'macos-27': 'macOS 27 or newer',
  'before-macos-27': 'macOS 26 or older',
  addon: 'the native addon, from its package or built with `npm run build:native`',
  'signed-copy': 'a signed copy of Node.js that works (claim signature-plain)',
  machine: 'a machine that runs (claim machine-up)',
  rosetta: 'a machine whose translator is Rosetta',
  'homebrew-node': 'Homebrew’s Node.js (`brew install node`)',
  'no-command-line-tools': 'a Mac without the Command Line Tools',
  full: 'the option --full: it fetches container images and takes up to an hour',
  hands: 'hands: what to do is described below',
} as const;
export type Need = keyof typeof NEEDS;

export interface Claim {
  /** Stable, for `--only` and for issues. */
  readonly id: string;
  /** One sentence that is true or false. */
  readonly claim: string;
  /** Where it is said, or where the doubt comes from. */
  readonly source: string;
  /** How it is checked, for people. */
  readonly how: string;
  readonly needs: readonly Need[];
  /** One after the other; a failed one does not stop the next. Empty for what only hands can do. */
  commands(context: Context): readonly Command[];
  /** Results in the order of the commands. */
  judge(results: readonly Result[], context: Context): Verdict;
  /** What is there when it passed; absent where no other claim builds on it. */
  readonly shows?: (results: readonly Result[]) => Shown;
}

/** What claims that come later may need or use. */
export interface Shown {
  readonly needs: readonly Need[];
  /** Becomes the context's. */
  readonly signedNode?: string;
}

export interface Command {
  readonly argv: readonly string[];
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Instead of {@link COMMAND_LIMIT_MS}. */
  readonly limitMs?: number;
}

export const COMMAND_LIMIT_MS = 60_000;

export interface Result extends CommandResult {
  readonly argv: readonly string[];
}

export interface Verdict {
  /** `noted`: there is no right or wrong, the value is wanted. `unclear`: the check itself did not work out. */
  readonly result: 'pass' | 'fail' | 'noted' | 'unclear';
  /** What shows it, a line or a few. */
  readonly evidence: string;
}

/** What commands are made of. */
export interface Context {
  /** Everything that the check makes is in here; removed in the end. */
  readonly folder: string;
  /** The command line: node and the program. */
  readonly cli: readonly string[];
  readonly facts: MacFacts;
  /** The addon of this installation, or null. */
  readonly addon: string | null;
  /** The signed copy's executable, once there is one. */
  readonly signedNode: string | null;
}

/** Name of the machine that the check makes. */
export const MACHINE = 'mac-check';

export const pass = (evidence: string): Verdict => ({ result: 'pass', evidence });
export const fail = (evidence: string): Verdict => ({ result: 'fail', evidence });
export const noted = (evidence: string): Verdict => ({ result: 'noted', evidence });
export const unclear = (evidence: string): Verdict => ({ result: 'unclear', evidence });

/** Passes when the condition holds; the evidence is the same for both. */
export const judged = (holds: boolean, evidence: string): Verdict => (holds ? pass(evidence) : fail(evidence));

const KEPT_CHARACTERS = 600;

/** What a command said and how it ended, in short. */
export function said({ exitCode, signal, timedOut, absent, stdout, stderr }: Result): string {
  if (absent) return 'There is no such program.';
  const end = timedOut ? 'ran out of time' : (signal ?? `status ${exitCode}`);
  const text = [stdout.trim(), stderr.trim()].filter((part) => part !== '').join('\n');
  const short = text.length > KEPT_CHARACTERS ? `${text.slice(0, KEPT_CHARACTERS)} …` : text;
  return short === '' ? end : `${end}: ${short}`;
}

/** A program in the guest, through a shell there. */
export function inGuest({ cli }: Context, script: string, limitMs = COMMAND_LIMIT_MS): Command {
  return { argv: [...cli, 'exec', '--no-stdin', MACHINE, '--', 'sh', '-c', script], limitMs };
}
