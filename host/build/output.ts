/** Brings a build's result to the host: a file that is whole or absent, stdout, or a folder. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { lstat, mkdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { RosettaVmError } from '../errors.ts';
import { syncFolder } from '../files.ts';

export interface Receiver {
  /** Takes the stream to its end. */
  receive(stream: Readable): Promise<void>;
  /** Keeps what was received, or drops it. */
  finish(succeeded: boolean): Promise<void>;
}

/** Reads and forgets. */
export const discard: Receiver = {
  receive: async (stream) => {
    stream.resume();
    if (!stream.readableEnded && !stream.destroyed) await once(stream, 'close');
  },
  finish: async () => {},
};

/** To a stream that stays open, such as stdout. */
export const toStream = (target: Writable): Receiver => ({
  receive: (stream) => pipeline(stream, target, { end: false }),
  finish: async () => {},
});

/** To a file, under another name until it is whole. */
export function toFile(file: string): Receiver {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  return {
    receive: (stream) => pipeline(stream, createWriteStream(temporary, { flags: 'wx', mode: 0o644, flush: true })),
    async finish(succeeded) {
      if (!succeeded) return await rm(temporary, { force: true });
      await rename(temporary, file);
      await syncFolder(path.dirname(file));
    },
  };
}

/**
 * Unpacks a tar archive into a folder, over what is there, as Docker's local exporter does. The archive is an image's
 * content, so it is not trusted: an entry that would land outside of the folder, by its name or through a link, fails
 * the whole. Links may point anywhere, as in the image; they are made last, so that nothing is written through one.
 */
export function toFolder(folder: string): Receiver {
  return {
    async receive(stream) {
      await once(stream, 'readable');
      // A build that failed sends nothing, and nothing is no archive.
      if (stream.readableLength === 0) return await discard.receive(stream);
      await mkdir(folder, { recursive: true });
      const links = new Map<string, string>();
      let refused: string | null = null;
      const unpack = extract({
        cwd: folder,
        // Owners in the image mean nothing here; node-tar would restore them for root.
        preserveOwner: false,
        filter: (name, entry) => {
          if (!('type' in entry) || entry.type !== 'SymbolicLink') return true;
          links.set(name, entry.linkpath ?? '');
          return false;
        },
        onwarn: (code, message) => {
          if (REFUSED.has(code)) refused ??= String(message);
        },
      });
      await pipeline(stream, unpack as unknown as Writable).catch((error: NodeJS.ErrnoException) => {
        throw error.code?.startsWith('TAR_') ? refusedEntry(folder, error.message) : error;
      });
      if (refused !== null) throw refusedEntry(folder, refused);
      for (const [name, target] of links) await makeLink(folder, name, target);
    },
    finish: async () => {},
  };
}

async function makeLink(folder: string, name: string, target: string): Promise<void> {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..'))
    throw refusedEntry(folder, `A link is named ${JSON.stringify(name)}.`);
  let parent = folder;
  for (const part of parts.slice(0, -1)) {
    parent = path.join(parent, part);
    await mkdir(parent, { recursive: true });
    if (!(await lstat(parent)).isDirectory()) throw refusedEntry(folder, `${name} lies behind another link.`);
  }
  const place = path.join(folder, ...parts);
  await rm(place, { force: true });
  await symlink(target, place);
}

/** node-tar's codes for entries that it did not write; devices and pipes are among the unsupported, and stay out quietly. */
const REFUSED = new Set(['TAR_ENTRY_ERROR', 'TAR_ENTRY_INVALID', 'TAR_BAD_ARCHIVE', 'TAR_ABORT']);

const refusedEntry = (folder: string, why: string): RosettaVmError =>
  new RosettaVmError('E_INVALID', {
    what: `The result was not unpacked into ${folder} as a whole.`,
    why,
    fix: 'Take it as an archive with --output type=tar,dest=FILE and look at it.',
    facts: { folder },
  });
