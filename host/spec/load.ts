/** Reads `rosetta-vm.yaml` and lays the command line's flags over it. */
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { RosettaVmError } from '../errors.ts';
import { type MachineSpec, type MachineSpecInput, parseSpec } from './spec.ts';

/** Looked for in the working directory when no file is named. */
export const SPEC_FILE = 'rosetta-vm.yaml';

/** A spec is a page of text; more is a mistake or an attack (YAML aliases are bounded too). */
const MAX_FILE_BYTES = 256 * 1024;

/** Flags of `up` that lie over the file; what the user did not give is absent or undefined. */
export type SpecOverrides = {
  readonly [K in 'cpus' | 'memory' | 'image' | 'translator']?: MachineSpecInput[K] | undefined;
} & {
  /** Size of the data disk; where else it is and on which bus stays as the file has it. */
  readonly disk?: string | number | undefined;
  readonly cache?: { readonly enabled?: boolean } | undefined;
};

export interface LoadSpecOptions {
  readonly file?: string | undefined;
  readonly cwd: string;
  readonly remembered?: MachineSpec | null;
  readonly overrides?: SpecOverrides;
}

export interface LoadedSpec {
  readonly spec: MachineSpec;
  /** The file that it is from, or null. */
  readonly source: string | null;
}

/**
 * Loads a spec. `file` must exist when given; without it `rosetta-vm.yaml` in `cwd` is used when it is there, else
 * what is `remembered` of the machine, else the defaults. Share paths become absolute, relative to the file's folder.
 * Throws `E_NOT_FOUND`, `E_INVALID` or `E_SIZE`.
 */
export async function loadSpec(options: LoadSpecOptions): Promise<LoadedSpec> {
  const { cwd, remembered = null } = options;
  // Checked apart, so that an error names the flags and not the file.
  const flags = given(options.overrides ?? {});
  parseSpec(flags, 'the flags');
  const file = path.resolve(cwd, options.file ?? SPEC_FILE);
  const text = await readBounded(file, options.file !== undefined);
  if (text === undefined)
    return { spec: parseSpec(merge(remembered ?? {}, flags), 'the machine’s record'), source: null };
  const spec = parseSpec(merge(parseYaml(text, file), flags), file);
  const shares = spec.shares.map((share) => ({ ...share, path: absolute(share.path, path.dirname(file)) }));
  return { spec: { ...spec, shares }, source: file };
}

async function readBounded(file: string, named: boolean): Promise<string | undefined> {
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) {
      throw new RosettaVmError('E_INVALID', {
        what: `${file} is too large.`,
        why: `It has ${size} bytes; a spec may have ${MAX_FILE_BYTES}.`,
        fix: 'Name another file with -f.',
        facts: { file, size },
      });
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof RosettaVmError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !named) return undefined;
    throw new RosettaVmError('E_NOT_FOUND', {
      what: code === 'ENOENT' ? `There is no file ${file}.` : `${file} cannot be read.`,
      why: code === 'ENOENT' ? 'A file that is named must exist.' : message,
      fix: 'Name a readable file with -f.',
      facts: { file },
      cause: error,
    });
  }
}

/** Parses YAML 1.2 (JSON is a subset). Throws `E_INVALID` with line and column. */
export function parseYaml(text: string, source: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    lineCounter,
    uniqueKeys: true,
    strict: true,
  });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new RosettaVmError('E_INVALID', {
      what: `${source} is not valid YAML (line ${line}, column ${col}).`,
      why: problem.message.split('\n')[0] ?? '',
      fix: `Correct that line; \`rosetta-vm config validate -f ${source}\` checks it.`,
      facts: { source, line, column: col },
    });
  }
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw new RosettaVmError('E_INVALID', {
      what: `${source} is not a plain document.`,
      why: error instanceof Error ? error.message : String(error),
      fix: 'Write it without aliases.',
      cause: error,
    });
  }
}

function given(overrides: SpecOverrides): Record<string, unknown> {
  return Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
}

/** Content that is no mapping stays as it is: the schema says what is wrong with it. */
function merge(data: unknown, flags: Readonly<Record<string, unknown>>): unknown {
  if (!isRecord(data)) return data;
  const cache = isRecord(data.cache) && isRecord(flags.cache) ? { cache: { ...data.cache, ...flags.cache } } : {};
  const disk = isRecord(data.disk) && flags.disk !== undefined ? { disk: { ...data.disk, size: flags.disk } } : {};
  return { ...data, ...flags, ...cache, ...disk };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function absolute(share: string, base: string): string {
  return share === '~' || share.startsWith('~/') ? path.join(homedir(), share.slice(1)) : path.resolve(base, share);
}
