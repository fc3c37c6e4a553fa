/**
 * A stream over a vsock connection that neither overruns it nor depends on its half-close: bytes in flight are bounded
 * by a window that the receiver renews, and the end of a direction is a frame. Both ends of every connection between
 * host and agent speak it, below HTTP.
 *
 * Why vsock alone will not do: vhost-device-vsock, the device that a host without vhost-vsock in its kernel has, stalls
 * when a peer is slower than its sender (https://github.com/rust-vmm/vhost-device/issues/494) and turns the end of one
 * direction into the end of both (https://github.com/rust-vmm/vhost-device/issues/874).
 *
 * Frame: 1 byte type, 4 bytes number (big endian). `data`: as many bytes follow. `credit`: so many bytes were consumed.
 * `end`: the sender sends no more data; the number is 0.
 */
import { Duplex } from 'node:stream';
import { RosettaVmError } from '../host/errors.ts';

const HEADER_BYTES = 5;
const FrameType = { data: 0, credit: 1, end: 2 } as const;

/**
 * Bytes that may be under way in one direction. With frame headers less than the device's buffer of 64 KiB
 * (vhost-device-vsock's `--tx-buffer-size`), so that even a host that does not read at all loses nothing.
 */
export const WINDOW_BYTES = 48 * 1024;
const MAX_DATA_BYTES = 16 * 1024;
/** Credit is returned in pieces of at least this, so that it costs few frames and never lets the window run dry. */
const CREDIT_STEP_BYTES = WINDOW_BYTES / 4;

/** Takes over `raw`; the stream that it answers with has ends of its own for each direction. */
export function linkStream(raw: Duplex): Duplex {
  return new Link(raw);
}

interface PendingWrite {
  data: Buffer;
  readonly done: (error?: Error | null) => void;
}

class Link extends Duplex {
  readonly #raw: Duplex;
  /** What the peer can still take, bytes. */
  #credit = WINDOW_BYTES;
  #pending: PendingWrite | null = null;
  #pumping = false;
  #endSent = false;
  #endReceived = false;
  #incoming: Buffer = Buffer.alloc(0);
  /** Received and not yet given back as credit, bytes. */
  #owed = 0;
  #readerFull = false;

  constructor(raw: Duplex) {
    super({ allowHalfOpen: true });
    this.#raw = raw;
    raw.on('data', (piece: Buffer) => this.#receive(piece));
    raw.on('drain', () => this.#pump());
    raw.on('error', (error) => this.destroy(error));
    raw.on('end', () => this.#lost());
    raw.on('close', () => this.#lost());
  }

  override _write(data: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pending = { data, done };
    this.#pump();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#endSent = true;
    this.#raw.write(header(FrameType.end, 0));
    done();
    this.#closeWhenOver();
  }

  override _read(): void {
    this.#readerFull = false;
    this.#repay();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const pending = this.#pending;
    this.#pending = null;
    // A link that ended properly lets its last frames out; any other is cut, which tells the peer.
    if (this.#over) this.#raw.end();
    else this.#raw.destroy();
    pending?.done(error ?? reset());
    done(error);
  }

  get #over(): boolean {
    return this.#endSent && this.#endReceived;
  }

  #pump(): void {
    const pending = this.#pending;
    // A write to the connection may bring credit before it returns, and with it another call.
    if (pending === null || this.#pumping) return;
    this.#pumping = true;
    while (pending.data.length > 0 && this.#credit > 0 && !this.#raw.writableNeedDrain) {
      const piece = pending.data.subarray(0, Math.min(this.#credit, MAX_DATA_BYTES));
      pending.data = pending.data.subarray(piece.length);
      this.#credit -= piece.length;
      this.#raw.write(Buffer.concat([header(FrameType.data, piece.length), piece]));
    }
    this.#pumping = false;
    if (pending.data.length > 0 || this.#pending !== pending) return;
    this.#pending = null;
    pending.done();
  }

  #receive(piece: Buffer): void {
    this.#incoming = this.#incoming.length === 0 ? piece : Buffer.concat([this.#incoming, piece]);
    while (this.#incoming.length >= HEADER_BYTES && !this.destroyed) {
      const type = this.#incoming.readUInt8(0);
      const number = this.#incoming.readUInt32BE(1);
      const end = HEADER_BYTES + (type === FrameType.data ? number : 0);
      if (type === FrameType.data && (number > MAX_DATA_BYTES || this.#owed + number > WINDOW_BYTES)) {
        return void this.destroy(violation(`It sent ${number} bytes beyond what it may.`));
      }
      if (this.#incoming.length < end) return;
      const data = this.#incoming.subarray(HEADER_BYTES, end);
      this.#incoming = this.#incoming.subarray(end);
      this.#take(type, number, data);
    }
  }

  #take(type: number, number: number, data: Buffer): void {
    if (type === FrameType.data) {
      if (this.#endReceived) return void this.destroy(violation('It sent data after the end.'));
      this.#owed += data.length;
      // A copy: the reader may keep it for long, and the whole piece with it.
      if (!this.push(Buffer.from(data))) this.#readerFull = true;
      this.#repay();
    } else if (type === FrameType.credit) {
      this.#credit += number;
      if (this.#credit > WINDOW_BYTES) return void this.destroy(violation('It gave back more than it got.'));
      this.#pump();
    } else if (type === FrameType.end) {
      this.#endReceived = true;
      this.push(null);
      this.#closeWhenOver();
    } else {
      this.destroy(violation(`It sent a frame of type ${type}.`));
    }
  }

  #repay(): void {
    if (this.#readerFull || this.#owed < CREDIT_STEP_BYTES || this.destroyed) return;
    const credit = this.#owed;
    // Before the write, which may bring more data before it returns.
    this.#owed = 0;
    this.#raw.write(header(FrameType.credit, credit));
  }

  #closeWhenOver(): void {
    if (this.#over) this.#raw.end();
  }

  #lost(): void {
    if (!this.#over) this.destroy(reset());
  }
}

function header(type: number, number: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt32BE(number, 1);
  return bytes;
}

/** As Node's own sockets word it, so that callers need not know what is below. */
const reset = (): Error => Object.assign(new Error('The connection was lost.'), { code: 'ECONNRESET' });

function violation(why: string): RosettaVmError {
  return new RosettaVmError('E_PROTOCOL', {
    what: 'The other side of a connection between host and guest does not speak its protocol.',
    why,
    fix: 'Use the same version of rosetta-vm on both sides: `rosetta-vm down`, then `rosetta-vm up`.',
  });
}
