/** Reads exact counts of bytes from a stream of chunks. */
import { RosettaVmError } from '../../host/errors.ts';

export interface ByteReader {
  /** Exactly `count` bytes; null at a clean end (no byte left). Throws `E_INVALID` when the stream ends in between. */
  read(count: number): Promise<Buffer | null>;
  /** Passes over `count` bytes. */
  skip(count: number): Promise<void>;
  /** Ends the stream, read to its end or not, so that what is behind it can let go. */
  close(): Promise<void>;
}

/** `what` names the stream in errors. */
export function byteReader(chunks: AsyncIterable<Uint8Array>, what: string): ByteReader {
  const iterator = chunks[Symbol.asyncIterator]();
  let pending: Uint8Array = new Uint8Array(0);

  async function more(): Promise<boolean> {
    const { done, value } = await iterator.next();
    if (done === true) return false;
    pending = value;
    return true;
  }
  const cut = (): RosettaVmError =>
    new RosettaVmError('E_INVALID', {
      what: `${what} is damaged.`,
      why: 'It ends in the middle of an entry.',
      fix: 'Delete the downloads folder and run the same command again.',
    });
  async function take(count: number, consume: (piece: Uint8Array) => void): Promise<number> {
    let left = count;
    while (left > 0) {
      if (pending.length === 0 && !(await more())) break;
      const piece = pending.subarray(0, left);
      pending = pending.subarray(piece.length);
      left -= piece.length;
      consume(piece);
    }
    return count - left;
  }
  return {
    async read(count) {
      const bytes = Buffer.allocUnsafe(count);
      let at = 0;
      const taken = await take(count, (piece) => {
        bytes.set(piece, at);
        at += piece.length;
      });
      if (taken === 0 && count > 0) return null;
      if (taken < count) throw cut();
      return bytes;
    },
    async skip(count) {
      if ((await take(count, () => {})) < count) throw cut();
    },
    async close() {
      await iterator.return?.();
    },
  };
}
