/** A machine's channel: the reader's end of the addon's socketpair, line by line, and its end, whatever brings it. */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { LineSplitter } from '../../channel/lines.ts';
import type { VzLine } from './addon.ts';
import { parseLine } from './messages.ts';

/** A failure's texts are a few hundred bytes; this leaves room for the framework's longest. */
export const MAX_LINE_BYTES = 64 * 1024;

export interface LineHandlers {
  line(line: VzLine): void;
  /** Once, and the last call. Null: the addon closed the channel. An error: `E_PROTOCOL`, or the descriptor's own. */
  end(error: Error | null): void;
}

export interface LineReader {
  /** Closes the descriptor; `end` follows. */
  close(): void;
}

/** Reads a descriptor, which is this function's from now on. Throws nothing: what is wrong with it comes to `end`. */
export function readLines(fd: number, handlers: LineHandlers): LineReader {
  const opened = openDescriptor(fd, { readable: true, writable: false });
  if (opened instanceof Error) {
    process.nextTick(() => handlers.end(opened));
    return { close: () => {} };
  }
  const socket = opened;
  const lines = new LineSplitter(MAX_LINE_BYTES, 'The Virtualization.framework addon');
  let failure: Error | null = null;
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const text of lines.push(chunk)) {
        if (text === '' || failure !== null) continue;
        const line = parseLine(text);
        if (line !== null) handlers.line(line);
      }
    } catch (error) {
      failure = error as Error;
      socket.destroy();
    }
  });
  socket.on('error', (error) => {
    failure ??= error;
  });
  socket.once('close', () => handlers.end(failure));
  return { close: () => void socket.destroy() };
}

/**
 * A stream over a descriptor, which it closes in the end. An error where the descriptor is none that libuv knows how to
 * read: that one is closed here.
 */
export function openDescriptor(
  fd: number,
  options: { readonly readable: boolean; readonly writable: boolean },
): Socket | Error {
  try {
    // Half-open: the other side may go on sending after this one has ended, and the other way round.
    return new Socket({ fd, allowHalfOpen: options.writable, ...options });
  } catch (error) {
    try {
      closeSync(fd);
    } catch {
      // It was not even open.
    }
    return error as Error;
  }
}
