import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeData, encodeFrame, type Frame, FrameDecoder } from '../../../guest/exec-frames.ts';
import { FRAME_HEADER_BYTES, FrameType, MAX_FRAME_BYTES } from '../../../guest/protocol.ts';

const frames = fc.array(
  fc.record({
    type: fc.constantFrom(...Object.values(FrameType)),
    payload: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 12 },
);

function decode(pieces: readonly Uint8Array[]): Frame[] {
  const decoder = new FrameDecoder();
  return pieces.flatMap((piece) => [...decoder.push(piece)]);
}

describe('exec frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(3000), { maxLength: 30 }), (wanted, cuts) => {
        const bytes = Buffer.concat(wanted.map(({ type, payload }) => encodeFrame(type, payload)));
        const edges = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort(
          (a, b) => a - b,
        );
        const pieces = edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
        expect(decode(pieces)).toEqual(wanted);
      }),
    );
  });

  it('never fail other than by E_PROTOCOL on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (pieces) => {
        try {
          decode(pieces);
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_PROTOCOL' });
        }
      }),
    );
  });

  it('are refused when they announce more than the limit, before their payload arrives', () => {
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32BE(MAX_FRAME_BYTES + 1, 1);
    expect(() => decode([header])).toThrow(expect.objectContaining({ code: 'E_PROTOCOL' }));
    expect(() => encodeFrame(FrameType.stdin, Buffer.alloc(MAX_FRAME_BYTES + 1))).toThrow();
  });

  it('are refused when their type is unknown', () => {
    expect(() => decode([Buffer.from([99, 0, 0, 0, 0])])).toThrow(expect.objectContaining({ code: 'E_PROTOCOL' }));
  });

  it('split long data into frames within the limit', () => {
    const data = Buffer.alloc(MAX_FRAME_BYTES * 2 + 1, 'x');
    const sizes = [...encodeData(FrameType.stdout, data)].map((frame) => frame.length - FRAME_HEADER_BYTES);
    expect(sizes).toEqual([MAX_FRAME_BYTES, MAX_FRAME_BYTES, 1]);
  });

  it('tell when a stream stopped inside one', () => {
    const decoder = new FrameDecoder();
    expect([...decoder.push(encodeFrame(FrameType.stdin, 'abc').subarray(0, 6))]).toEqual([]);
    expect(decoder.incomplete).toBe(true);
  });
});
