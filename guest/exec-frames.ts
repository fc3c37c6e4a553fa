/** Codec of the exec stream (protocol.ts), used by the agent and by the host's client. */
import { RosettaVmError } from '../host/errors.ts';
import { FRAME_HEADER_BYTES, FrameType, MAX_FRAME_BYTES } from './protocol.ts';

export interface Frame {
  readonly type: FrameType;
  readonly payload: Buffer;
}

const FRAME_TYPES: ReadonlySet<number> = new Set(Object.values(FrameType));

/** One frame. `payload` has at most {@link MAX_FRAME_BYTES}; longer data goes through {@link encodeData}. */
export function encodeFrame(type: FrameType, payload: string | Uint8Array = ''): Buffer {
  const body = Buffer.from(payload);
  if (body.length > MAX_FRAME_BYTES) throw oversize(body.length);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + body.length);
  frame.writeUInt8(type, 0);
  frame.writeUInt32BE(body.length, 1);
  body.copy(frame, FRAME_HEADER_BYTES);
  return frame;
}

/** Data of any length, cut into as many frames as the limit needs; nothing for empty data. */
export function* encodeData(type: FrameType, data: Uint8Array): Generator<Buffer> {
  for (let start = 0; start < data.length; start += MAX_FRAME_BYTES) {
    yield encodeFrame(type, data.subarray(start, start + MAX_FRAME_BYTES));
  }
}

/**
 * Finds frames in a byte stream that arrives in arbitrary pieces. It holds at most one incomplete frame, so its memory
 * is bounded by {@link MAX_FRAME_BYTES} however the peer behaves.
 */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** Frames completed by this piece. Throws `E_PROTOCOL` on an unknown type or an oversize frame. */
  *push(piece: Uint8Array): Generator<Frame> {
    let bytes = this.#pending.length === 0 ? Buffer.from(piece) : Buffer.concat([this.#pending, piece]);
    this.#pending = Buffer.alloc(0);
    while (bytes.length >= FRAME_HEADER_BYTES) {
      const type = bytes.readUInt8(0);
      const length = bytes.readUInt32BE(1);
      if (!isFrameType(type)) throw unknownType(type);
      if (length > MAX_FRAME_BYTES) throw oversize(length);
      const end = FRAME_HEADER_BYTES + length;
      if (bytes.length < end) break;
      const payload = bytes.subarray(FRAME_HEADER_BYTES, end);
      bytes = bytes.subarray(end);
      yield { type, payload };
    }
    this.#pending = bytes;
  }

  /** True when the stream stopped inside a frame. */
  get incomplete(): boolean {
    return this.#pending.length > 0;
  }
}

function isFrameType(type: number): type is FrameType {
  return FRAME_TYPES.has(type);
}

function oversize(length: number): RosettaVmError {
  return new RosettaVmError('E_PROTOCOL', {
    what: 'An exec stream carried a frame that is too long.',
    why: `It announced ${length} bytes; a frame has at most ${MAX_FRAME_BYTES}.`,
    fix: 'Use the same version of rosetta-vm on both sides: `rosetta-vm down`, then `rosetta-vm up`.',
    facts: { length, limit: MAX_FRAME_BYTES },
  });
}

function unknownType(type: number): RosettaVmError {
  return new RosettaVmError('E_PROTOCOL', {
    what: 'An exec stream carried a frame of an unknown type.',
    why: `Type ${type} is not part of this version of the protocol.`,
    fix: 'Use the same version of rosetta-vm on both sides: `rosetta-vm down`, then `rosetta-vm up`.',
    facts: { type },
  });
}
