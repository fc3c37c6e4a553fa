/** Flags that several commands of `bench` share. */
import { Option } from 'commander';
import { wholeNumber } from '../../host/cli/options.ts';

/** As in suites/schema.ts, which brings the whole schema library and is not loaded for this. */
const TIERS = ['quick', 'standard', 'full'] as const;

/** What `--tier`, `--suite` and `--benchmark` say. */
export interface ChoiceFlags {
  readonly tier: (typeof TIERS)[number];
  readonly suite: readonly string[];
  readonly benchmark: readonly string[];
}

export const machineOption = (): Option =>
  new Option('-m, --machine <machine>', 'machine to measure in; made and started when it does not exist').default(
    'default',
  );

export const tierOption = (): Option =>
  new Option('--tier <tier>', 'how much: quick is less than 3 minutes on real hardware')
    .choices(TIERS)
    .default('quick');

export const suiteOption = (): Option => listOption('--suite <name>', 'only this suite; may be given again');

export const benchmarkOption = (): Option =>
  listOption('--benchmark <name>', 'only this benchmark, whatever its tier; may be given again');

export const matrixOption = (): Option =>
  listOption('--matrix <dimension=values>', 'such as cache=off,warm or translator=box64,qemu; may be given again');

const MAX_RUNS = 1000;

export const runsOption = (description: string): Option =>
  new Option('--runs <number>', description).argParser(wholeNumber('--runs', 1, MAX_RUNS));

export const historyOption = (): Option =>
  new Option('--history <file>', 'history of sessions, fit for git (default: this computer’s own)');

export const acceptOption = (description: string): Option =>
  new Option('--accept <field>', `field of the machine’s fingerprint ${description}; may be given again`)
    .default([], 'none')
    .argParser((text: string, sofar: readonly string[]) => [...sofar, text]);

/** May be given more than once; its values may also be one list with commas. */
function listOption(flags: string, description: string): Option {
  const split = flags.startsWith('--matrix') ? (text: string) => [text] : (text: string) => text.split(',');
  return new Option(flags, description)
    .default([], 'all')
    .argParser((text: string, sofar: readonly string[]) => [...sofar, ...split(text)]);
}
