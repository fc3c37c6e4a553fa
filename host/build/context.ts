/** The build context as Docker's client would send it: a folder without what its `.dockerignore` leaves out, as a tar stream. */
import type { Dirent } from 'node:fs';
import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { Pack } from 'tar';
import { RosettaVmError } from '../errors.ts';
import { readBounded } from '../files.ts';
import { type IgnoreRules, type MatchState, NO_RULES, parseDockerignore } from './dockerignore.ts';

/** BuildKit's frontend itself stops reading Dockerfiles and ignore files at 16 MiB (frontend/dockerui: ReadFile). */
const MAX_DEFINITION_BYTES = 16 * 1024 * 1024;

/** A file is held in memory by pieces of this size, a few files at a time. */
const READ_BYTES = 1024 * 1024;

export interface ContextEntry {
  /** Relative, with `/`. */
  readonly path: string;
  readonly directory: boolean;
  /** Content, bytes; 0 for all but files. */
  readonly bytes: number;
}

export interface ContextListing {
  /** Sorted, each folder before what lies in it. */
  readonly entries: readonly ContextEntry[];
  /** Sockets, pipes and devices: they have no content that an image could hold. */
  readonly skipped: readonly string[];
}

/** The Dockerfile and the rules that go with it. */
export interface BuildDefinition {
  /** Base name, for messages. */
  readonly name: string;
  readonly dockerfile: Buffer;
  /** `<Dockerfile>.dockerignore`, when there is one: it counts instead of the context's own. */
  readonly ownIgnoreFile: Buffer | null;
  readonly rules: IgnoreRules;
}

/** Resolves to the folder's real path. Throws `E_NOT_FOUND` unless it is a folder. */
export async function contextFolder(folder: string): Promise<string> {
  const real = await realpath(folder).catch(() => null);
  if (real !== null && (await stat(real)).isDirectory()) return real;
  throw new RosettaVmError('E_NOT_FOUND', {
    what: `${folder} is no folder.`,
    why: 'The build context is the folder whose files COPY and ADD may use.',
    fix: 'Give the folder with the Dockerfile, such as “.”.',
    facts: { path: folder },
  });
}

/**
 * Reads the Dockerfile (`file`, a path; or its bytes, when they came from standard input) and the ignore file that
 * counts. Throws `E_NOT_FOUND` without a Dockerfile, `E_INVALID` for rules that cannot be used.
 */
export async function readDefinition(context: string, file: string | Buffer): Promise<BuildDefinition> {
  if (Buffer.isBuffer(file)) {
    const rules = await readRules(path.join(context, '.dockerignore'));
    return { name: 'Dockerfile', dockerfile: file, ownIgnoreFile: null, rules: rules ?? NO_RULES };
  }
  const dockerfile = await readDockerfile(file);
  const ignoreFile = `${file}.dockerignore`;
  const ownIgnoreFile = await readFile(ignoreFile).catch(() => null);
  const rules = (await readRules(ignoreFile)) ?? (await readRules(path.join(context, '.dockerignore'))) ?? NO_RULES;
  return { name: path.basename(file), dockerfile, ownIgnoreFile, rules };
}

async function readRules(file: string): Promise<IgnoreRules | null> {
  const text = await readBounded(file, MAX_DEFINITION_BYTES);
  return text === null ? null : parseDockerignore(text, path.basename(file));
}

async function readDockerfile(file: string): Promise<Buffer> {
  try {
    const { size } = await stat(file);
    if (size <= MAX_DEFINITION_BYTES) return await readFile(file);
  } catch (error) {
    throw new RosettaVmError('E_NOT_FOUND', {
      what: `There is no Dockerfile at ${file}.`,
      why: (error as Error).message,
      fix: 'Name it with -f, or give the folder that holds it.',
      facts: { path: file },
      cause: error,
    });
  }
  throw new RosettaVmError('E_SIZE', {
    what: `${file} is too large for a Dockerfile.`,
    why: `BuildKit reads ${MAX_DEFINITION_BYTES} bytes at most.`,
    fix: 'Name the Dockerfile with -f.',
    facts: { path: file, limit: MAX_DEFINITION_BYTES },
  });
}

/** Lists what belongs to the context; links are kept as links, never followed. */
export async function listContext(root: string, rules: IgnoreRules): Promise<ContextListing> {
  const entries: ContextEntry[] = [];
  const skipped: string[] = [];
  await walk('', undefined, () => {});
  return { entries, skipped };

  /** `keepFolder` lists a folder that is excluded itself, once something in it is kept. */
  async function walk(folder: string, state: MatchState | undefined, keepFolder: () => void): Promise<void> {
    for (const child of sorted(await readdir(path.join(root, folder), { withFileTypes: true }))) {
      const relative = folder === '' ? child.name : `${folder}/${child.name}`;
      const match = rules.match(relative, state);
      let listed = false;
      const keep = (directory: boolean, bytes = 0): void => {
        if (listed) return;
        listed = true;
        keepFolder();
        entries.push({ path: relative, directory, bytes });
      };
      if (child.isDirectory()) {
        if (!match.excluded) keep(true);
        if (!match.excluded || rules.mayKeepBelow(relative)) await walk(relative, match.state, () => keep(true));
      } else if (!match.excluded) {
        if (child.isFile()) keep(false, (await lstat(path.join(root, relative))).size);
        else if (child.isSymbolicLink()) keep(false);
        else skipped.push(relative);
      }
    }
  }
}

/** By bytes, so that the order is the same under every locale. */
function sorted(children: readonly Dirent[]): Dirent[] {
  return [...children].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

/**
 * The entries as a tar archive with modes, times, links and hard links, read while it is sent. Owners are this host's
 * and mean nothing elsewhere: whoever unpacks it gives every file to root, as BuildKit does. A file that changes or
 * vanishes meanwhile fails the stream.
 */
export function packContext(root: string, entries: readonly ContextEntry[]): Readable {
  const out = new PassThrough();
  const left = entries.values();
  const pack = new Pack({
    cwd: root,
    noDirRecurse: true,
    // Without it a file named "c:/x" would lose its beginning.
    preservePaths: true,
    maxReadSize: READ_BYTES,
    jobs: 1,
    onWriteEntry: (entry) => {
      // Else when a file was read last would make another archive of the same files: reading them for the first did.
      if (entry.stat !== undefined) entry.stat.atime = entry.stat.ctime = entry.stat.mtime;
      entry.once('end', () => setImmediate(addNext));
    },
  });
  // One at a time: node-tar 7.5 ends an archive twice when hard links wait in its queue for the file that they link to.
  function addNext(): void {
    const { value } = left.next();
    // "./": a name that begins with "@" is no archive to be included.
    if (value === undefined) pack.end();
    else if (!out.destroyed) pack.add(`./${value.path}`);
  }
  pack.on('error', (error) => out.destroy(error as Error));
  pack.pipe(out);
  addNext();
  return out;
}
