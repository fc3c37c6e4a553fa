/** What `npm run demo` understands. */
import { parseArgs } from 'node:util';
import { RosettaVmError } from '../../host/errors.ts';

export interface DemoOptions {
  readonly help: boolean;
  readonly json: boolean;
  /** Timed runs of everything instead of the usual numbers; null: as usual. */
  readonly runs: number | null;
  /** The Docker build ends with its configure step. */
  readonly quick: boolean;
  /** File for the record of this run. */
  readonly record: string | null;
  /** Print the README's table of a record and do nothing else; `newest` for the newest committed one. */
  readonly markdown: string | null;
  readonly mirror: string | undefined;
}

export const HELP = `Usage: npm run demo -- [options]

Starts the machine "demo", runs x86_64 compilers and interpreters in it without the translation cache, with an empty
and with a filled one, and compares the times. Then it builds the x86_64 image of examples/wordtally in each of these
ways. The machine is left running.

  --quick            one timed run of everything, instead of the usual three or five, and the configure step of the
                     build alone
  --runs <number>    so many timed runs of everything, at most 50; the whole image is built once in each way
  --record <file>    also write the run to this file, as benchmarks/results/ holds them
  --json             print the record instead of tables
  --markdown <file>  only print the README’s table of such a file; "newest" for the newest one of benchmarks/results/
  --mirror <url>     Debian mirror to download from (default: the host’s own, then a public one)
  --help             print this
`;

const MAX_RUNS = 50;

/** Throws `E_USAGE`. */
export function parseOptions(args: readonly string[]): DemoOptions {
  const { values } = parse(args);
  return {
    help: values.help ?? false,
    json: values.json ?? false,
    quick: values.quick ?? false,
    runs: values.quick ? 1 : values.runs === undefined ? null : parseRuns(values.runs),
    record: values.record ?? null,
    markdown: values.markdown ?? null,
    mirror: values.mirror,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        quick: { type: 'boolean' },
        runs: { type: 'string' },
        record: { type: 'string' },
        markdown: { type: 'string' },
        mirror: { type: 'string' },
      },
    });
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause));
  }
}

function parseRuns(text: string): number {
  const value = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= MAX_RUNS) return value;
  throw usage(`--runs is a whole number from 1 to ${MAX_RUNS}, not ${JSON.stringify(text)}.`);
}

const usage = (why: string): RosettaVmError =>
  new RosettaVmError('E_USAGE', {
    what: 'The demo does not understand its arguments.',
    why,
    fix: '`npm run demo -- --help` shows what is possible.',
  });
