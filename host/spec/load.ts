/** Reads `rosetta-vm.yaml` and lays the command line's flags over it. */
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { RosettaVmError } from '../errors.ts';
import { type MachineSpec, type MachineSpecInput, parseSpec } from './spec.ts';

/** A spec is a page of text; more is a mistake or an attack (YAML aliases are bounded too). */
const MAX_FILE_BYTES = 256 * 1024;

/** Flags of `up` that lie over the file; only what the user gave is present. */
export type SpecOverrides = Partial<Pick<MachineSpecInput, 'cpus' | 'memory' | 'disk' | 'image' | 'translator'>> & {
  cache?: { enabled?: boolean };
};

/**
 * Loads a spec. `file` must exist when given; without it `rosetta-vm.yaml` in `cwd` is used when it is there. Share
 * paths become absolute, relative to the file's folder. Throws `E_NOT_FOUND`, `E_INVALID` or `E_SIZE`.
 */
export async function loadSpec(options: {
  file?: string | undefined;
  cwd: string;
  overrides?: SpecOverrides;
}): Promise<{ spec: MachineSpec; source: string | null }> {
  const named = options.file !== undefined;
  const file = path.resolve(options.cwd, options.file ?? 'rosetta-vm.yaml');
  const text = await readBounded(file, named);
  const data = text === undefined ? {} : parseYaml(text, file);
  const merged = merge(data, options.overrides ?? {});
  const spec = parseSpec(merged, text === undefined ? 'the flags' : file);
  const base = text === undefined ? options.cwd : path.dirname(file);
  return {
    spec: {
      ...spec,
      shares: spec.shares.map((share) => ({
        ...share,
        path: absolute(share.path, base),
      })),
    },
    source: text === undefined ? null : file,
  };
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
      what: `${file} cannot be read.`,
      why: message,
      fix: 'Name an existing file with -f, or leave -f out to use the defaults.',
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

function merge(data: unknown, overrides: SpecOverrides): unknown {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return data;
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const merged: Record<string, unknown> = { ...data, ...given };
  const cache = (data as { cache?: unknown }).cache;
  if (overrides.cache !== undefined && typeof cache === 'object' && cache !== null) {
    merged.cache = { ...cache, ...overrides.cache };
  }
  return merged;
}

function absolute(given: string, base: string): string {
  return given === '~' || given.startsWith('~/') ? path.join(homedir(), given.slice(1)) : path.resolve(base, given);
}
