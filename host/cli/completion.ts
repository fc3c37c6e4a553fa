/**
 * What can come next on a command line, read off commander's own tree, so that completion cannot drift from the
 * commands. The shells' scripts (completion-scripts.ts) only ask.
 */
import type { Argument, Command, Option } from 'commander';

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** The shell itself completes a path. */
  readonly files: 'file' | 'directory' | null;
}

/** Names that exist now, by the placeholder of the argument or flag that takes them. */
export type NameSources = Readonly<Record<string, () => Promise<readonly string[]>>>;

const NOTHING: Completion = { candidates: [], files: null };

/** Completes the last of `words`, which follow the program's name. */
export async function complete(program: Command, words: readonly string[], names: NameSources): Promise<Completion> {
  const current = words.at(-1) ?? '';
  const position = walk(program, words.slice(0, -1));
  if (position === null) return NOTHING;
  const { command, operands, option } = position;
  const found =
    option !== null
      ? await values(option.argChoices, placeholder(option), option.description, names)
      : current.startsWith('-')
        ? { candidates: flags(command), files: null }
        : await operand(command, operands, names);
  return { ...found, candidates: found.candidates.filter(({ value }) => value.startsWith(current)) };
}

interface Position {
  readonly command: Command;
  /** Operands of `command` before the word. */
  readonly operands: number;
  /** The flag whose value the word is. */
  readonly option: Option | null;
}

/** Where the next word stands; null after `--`: those words are the guest's. */
function walk(program: Command, words: readonly string[]): Position | null {
  let command = program;
  let operands = 0;
  let option: Option | null = null;
  for (const word of words) {
    if (option !== null) {
      option = null;
    } else if (word === '--') {
      return null;
    } else if (word.startsWith('-')) {
      const named = visibleOptions(command).find(({ short, long }) => word === short || word === long);
      option = named !== undefined && (named.required || named.optional) ? named : null;
    } else {
      const next = operands === 0 ? visibleCommands(command).find((one) => isNamed(one, word)) : undefined;
      if (next === undefined) operands += 1;
      else command = next;
    }
  }
  return { command, operands, option };
}

async function operand(command: Command, index: number, names: NameSources): Promise<Completion> {
  const subcommands = index === 0 ? visibleCommands(command).map(asCandidate) : [];
  const argument: Argument | undefined = command.registeredArguments[index];
  if (argument === undefined) return { candidates: subcommands, files: null };
  const { candidates, files } = await values(argument.argChoices, argument.name(), argument.description, names);
  return { candidates: [...subcommands, ...candidates], files };
}

async function values(
  choices: readonly string[] | undefined,
  kind: string,
  description: string,
  names: NameSources,
): Promise<Completion> {
  if (kind === 'file' || kind === 'directory') return { candidates: [], files: kind };
  // A folder that cannot be read completes to nothing; an error would garble the prompt.
  const found = choices ?? (await names[kind]?.().catch(() => [])) ?? [];
  return { candidates: found.map((value) => ({ value, description: oneLine(description) })), files: null };
}

function flags(command: Command): Candidate[] {
  return visibleOptions(command).map((option) => ({
    value: option.long ?? option.short ?? '',
    description: oneLine(option.description),
  }));
}

/** `file` of `-f, --file <file>`. */
const placeholder = ({ flags }: Option): string => /[<[]([\w-]+)/.exec(flags)?.[1] ?? '';

const isNamed = (command: Command, word: string): boolean =>
  command.name() === word || command.aliases().includes(word);

const asCandidate = (command: Command): Candidate => ({
  value: command.name(),
  description: oneLine(command.summary() || command.description()),
});

const visibleCommands = (command: Command): Command[] => command.createHelp().visibleCommands(command);
const visibleOptions = (command: Command): Option[] => command.createHelp().visibleOptions(command);

/** Tab and newline are what the scripts split at. */
const oneLine = (text: string): string => text.replace(/\s+/g, ' ');
