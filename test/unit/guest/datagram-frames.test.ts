import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Datagram,
  DatagramDecoder,
  encodeDatagram,
  MAX_DATAGRAM_BYTES,
  MAX_WAITING_BYTES,
  sendDatagram,
} from '../../../guest/datagram-frames.ts';

const datagrams = fc.array(
  fc.record({
    session: fc.nat(0xffff_ffff),
    payload: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 12 },
);

function decode(pieces: readonly Buffer[]): Datagram[] {
  const decoder = new DatagramDecoder();
  return pieces.flatMap((piece) => [...decoder.push(piece)]);
}

describe('datagrams in a stream', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(datagrams, fc.array(fc.nat(3000), { maxLength: 30 }), (wanted, cuts) => {
        const bytes = Buffer.concat(wanted.map(encodeDatagram));
        const inside = cuts.filter((cut) => cut < bytes.length);
        const edges = [...new Set([0, ...inside, bytes.length])].sort((a, b) => a - b);
        expect(decode(edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge)))).toEqual(wanted);
      }),
    );
  });

  it('may be as long as IPv4 lets them, or empty', () => {
    const wanted = [MAX_DATAGRAM_BYTES, 0].map((length) => ({ session: 1, payload: Buffer.alloc(length, 'x') }));
    expect(decode([Buffer.concat(wanted.map(encodeDatagram))])).toEqual(wanted);
  });

  it('never fail other than by E_PROTOCOL on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (pieces) => {
        try {
          decode(pieces.map((piece) => Buffer.from(piece)));
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_PROTOCOL' });
        }
      }),
    );
  });

  it('are refused when one announces more than a datagram has, before it arrives', () => {
    expect(() => decode([Buffer.from([0, 0, 0, 1, 0xff, 0xff])])).toThrow(
      expect.objectContaining({ code: 'E_PROTOCOL', facts: { length: 65_535, limit: MAX_DATAGRAM_BYTES } }),
    );
  });

  it('are dropped, not kept, where nobody reads', () => {
    const stuck = new Duplex({ read() {}, write() {} });
    const payload = Buffer.alloc(10_000);
    const sent = Array.from({ length: 1000 }, () => sendDatagram(stuck, { session: 1, payload }));
    expect(sent[0]).toBe(true);
    expect(sent.at(-1)).toBe(false);
    expect(stuck.writableLength).toBeLessThan(MAX_WAITING_BYTES + 2 * payload.length);
    stuck.destroy();
    expect(sendDatagram(stuck, { session: 1, payload })).toBe(false);
  });
});
