/**
 * Codec of the stream that carries a UDP port's datagrams (protocol.ts, {@link DATAGRAM_UPGRADE}), used by the agent and by
 * the host. Frame: 4 bytes session, 2 bytes length (both big endian), the datagram. A session is one peer on the host;
 * it begins with its first datagram and has no end: both sides forget those that nothing comes of.
 */
import type { Duplex } from 'node:stream';
import { RosettaVmError } from '../host/errors.ts';

const HEADER_BYTES = 6;
/** Of IPv4: 65,535 less its own header and UDP's (udp(7), ip(7)). */
export const MAX_DATAGRAM_BYTES = 65_507;
/**
 * What a slow reader may leave waiting; what comes beyond it is lost, as datagrams are (Linux's own buffer of a socket,
 * net.core.rmem_default, is 208 KiB).
 */
export const MAX_WAITING_BYTES = 256 * 1024;
/** Peers of one port that are served at once; the one that was silent for longest makes room. */
export const MAX_SESSIONS = 256;
/** As Docker's own proxy in the guest has it (moby: cmd/docker-proxy, UDPConnTrackTimeout). */
export const SESSION_IDLE_MS = 90_000;

export interface Datagram {
  readonly session: number;
  readonly payload: Buffer;
}

/** Writes one frame, or drops it where too much waits already. Answers whether it was written. */
export function sendDatagram(stream: Duplex, { session, payload }: Datagram): boolean {
  if (payload.length > MAX_DATAGRAM_BYTES || stream.writableLength > MAX_WAITING_BYTES || !stream.writable)
    return false;
  stream.write(encodeDatagram({ session, payload }));
  return true;
}

/** One frame. `payload` has at most {@link MAX_DATAGRAM_BYTES}, and may be empty. */
export function encodeDatagram({ session, payload }: Datagram): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(session, 0);
  frame.writeUInt16BE(payload.length, 4);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

/** Finds frames in a byte stream that arrives in arbitrary pieces; it holds at most one incomplete frame. */
export class DatagramDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** Datagrams completed by this piece. Throws `E_PROTOCOL` when one is longer than a datagram can be. */
  *push(piece: Buffer): Generator<Datagram> {
    let bytes = this.#pending.length === 0 ? piece : Buffer.concat([this.#pending, piece]);
    this.#pending = Buffer.alloc(0);
    while (bytes.length >= HEADER_BYTES) {
      const length = bytes.readUInt16BE(4);
      if (length > MAX_DATAGRAM_BYTES) throw oversize(length);
      const end = HEADER_BYTES + length;
      if (bytes.length < end) break;
      yield { session: bytes.readUInt32BE(0), payload: bytes.subarray(HEADER_BYTES, end) };
      bytes = bytes.subarray(end);
    }
    this.#pending = bytes;
  }
}

function oversize(length: number): RosettaVmError {
  return new RosettaVmError('E_PROTOCOL', {
    what: 'A stream of datagrams carried one that is too long.',
    why: `It announced ${length} bytes; a datagram has at most ${MAX_DATAGRAM_BYTES}.`,
    fix: 'Use the same version of rosetta-vm on both sides: `rosetta-vm down`, then `rosetta-vm up`.',
    facts: { length, limit: MAX_DATAGRAM_BYTES },
  });
}
