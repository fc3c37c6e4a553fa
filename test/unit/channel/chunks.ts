/** Cuts bytes into pieces of the given lengths, the rest being the last one: how a stream may deliver them. */
export function chunks(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (const length of lengths) {
    pieces.push(bytes.subarray(start, start + length));
    start += length;
  }
  return [...pieces, bytes.subarray(start)].filter(({ length }) => length > 0);
}
