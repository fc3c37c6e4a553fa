/** The kernel's table of interpreters, binfmt_misc (Documentation/admin-guide/binfmt-misc.rst). */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RosettaVmError } from '../../host/errors.ts';

export interface BinfmtEntry {
  /** File name in binfmt_misc; no `/` and no `:`. */
  readonly name: string;
  readonly magic: Buffer;
  readonly mask: Buffer;
  readonly interpreter: string;
  /** Any of P, O, C and F. */
  readonly flags: string;
}

/** An entry as the kernel shows it. */
export interface RegisteredEntry extends BinfmtEntry {
  readonly enabled: boolean;
}

/**
 * x86-64, 64-bit little-endian ELF. The bytes that the mask clears: the ABI version and padding, and the lowest bit of
 * the type, so that ET_EXEC (2) and ET_DYN (3) both match (elf(5)). The same line as QEMU's and Apple's.
 */
const X86_64_MAGIC = Buffer.from('7f454c4602010100000000000000000002003e00', 'hex');
const X86_64_MASK = Buffer.from('fffffffffffefe00fffffffffffffffffeffffff', 'hex');

/** Entry for x86_64 programs. */
export function x86_64Entry(name: string, interpreter: string, flags: string): BinfmtEntry {
  return { name, magic: X86_64_MAGIC, mask: X86_64_MASK, interpreter, flags };
}

/** What is written to `register`. */
export function binfmtLine(entry: BinfmtEntry): string {
  return `:${entry.name}:M:0:${hexEscapes(entry.magic)}:${hexEscapes(entry.mask)}:${entry.interpreter}:${entry.flags}`;
}

/**
 * Makes `entry` the one handler for its magic: removes every other one, and an old one of the same name, writes the
 * line and reads it back. Returns what the kernel has, and the names of the foreign handlers that were removed. Throws
 * `E_AGENT` when the kernel refuses it or shows something else.
 */
export async function register(
  directory: string,
  entry: BinfmtEntry,
): Promise<{ readonly registered: RegisteredEntry; readonly removed: string[] }> {
  const rivals = (await listEntries(directory)).filter((other) => other.name === entry.name || overlaps(other, entry));
  for (const rival of rivals) await remove(directory, rival.name);
  try {
    await writeFile(path.join(directory, 'register'), binfmtLine(entry));
  } catch (error) {
    throw refused(entry, error instanceof Error ? error.message : String(error));
  }
  const registered = await readEntry(directory, entry.name);
  const { enabled = false, interpreter = 'no such entry', flags = '' } = registered ?? {};
  if (registered === undefined || !enabled || interpreter !== entry.interpreter || !sameFlags(flags, entry.flags)) {
    throw refused(
      entry,
      `It shows ${interpreter}${enabled ? '' : ', not enabled,'} with the flags ‘${flags}’ instead.`,
    );
  }
  const removed = rivals.map((rival) => rival.name).filter((name) => !name.startsWith(OWN_PREFIX));
  return { registered, removed };
}

/** The kernel prints them in an order of its own, and O with C, which implies it (fs/binfmt_misc.c, check_special_flags). */
function sameFlags(shown: string, asked: string): boolean {
  const inOrder = (flags: string): string => [...new Set(flags)].toSorted().join('');
  return inOrder(shown) === inOrder(asked.includes('C') ? `${asked}O` : asked);
}

/** Names of our own entries begin with this; a switch of translators replaces them without a word. */
const OWN_PREFIX = 'rvm-';

/** Removes an entry; one that is gone already is fine. */
export async function remove(directory: string, name: string): Promise<void> {
  await writeFile(path.join(directory, name), '-1').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** Every entry that matches by magic. */
export async function listEntries(directory: string): Promise<RegisteredEntry[]> {
  const names = (await readdir(directory)).filter((name) => name !== 'register' && name !== 'status');
  const entries = await Promise.all(names.map((name) => readEntry(directory, name)));
  return entries.filter((entry) => entry !== undefined);
}

async function readEntry(directory: string, name: string): Promise<RegisteredEntry | undefined> {
  const text = await readFile(path.join(directory, name), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseEntry(name, text);
}

/** Reads what the kernel prints for one entry; undefined for one that matches by file extension. */
export function parseEntry(name: string, text: string): RegisteredEntry | undefined {
  const field = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  const magic = field(/^magic ([0-9a-f]+)$/m);
  if (magic === undefined) return undefined;
  // The kernel prints no mask when every bit counts (fs/binfmt_misc.c, entry_status).
  const mask = field(/^mask ([0-9a-f]+)$/m) ?? 'f'.repeat(magic.length);
  return {
    name,
    enabled: /^enabled$/m.test(text),
    interpreter: field(/^interpreter (.*)$/m) ?? '',
    flags: field(/^flags: ?(.*)$/m) ?? '',
    magic: Buffer.from(magic, 'hex'),
    mask: Buffer.from(mask, 'hex'),
  };
}

/** True when some file could match both: the bits that both look at are the same. Both start at offset 0. */
function overlaps(a: BinfmtEntry, b: BinfmtEntry): boolean {
  const length = Math.min(a.magic.length, b.magic.length);
  for (let i = 0; i < length; i += 1) {
    const both = (a.mask[i] ?? 0) & (b.mask[i] ?? 0);
    if (((a.magic[i] ?? 0) & both) !== ((b.magic[i] ?? 0) & both)) return false;
  }
  return true;
}

function hexEscapes(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

function refused(entry: BinfmtEntry, why: string): RosettaVmError {
  return new RosettaVmError('E_AGENT', {
    what: `The guest’s kernel did not register ${entry.interpreter} for x86_64 programs.`,
    why,
    fix: 'See `rosetta-vm logs`; another image may have a kernel that does.',
    facts: { entry: entry.name, interpreter: entry.interpreter },
  });
}
