/** Sizes and durations as people type them. */
import { RosettaVmError } from '../errors.ts';

const KIB = 1024;
export const MIB = KIB * 1024;
export const GIB = MIB * 1024;

const SUFFIX: Readonly<Record<string, number>> = {
  '': GIB,
  b: 1,
  k: KIB,
  kb: KIB,
  kib: KIB,
  m: MIB,
  mb: MIB,
  mib: MIB,
  g: GIB,
  gb: GIB,
  gib: GIB,
  t: GIB * 1024,
  tb: GIB * 1024,
  tib: GIB * 1024,
};

/** As GiB this and more would be a PiB and more, which no machine has: such a bare number is bytes. */
const BARE_BYTES = MIB;

/**
 * Parses `4`, `4GiB`, `4096M`, `1.5g` into bytes. A bare number is GiB, as in Lima and Colima, or bytes when it is
 * 1,048,576 or more, so that a size that was parsed parses to itself. Every suffix is a power of 1024, as in Docker.
 * Throws `E_SIZE`.
 */
export function parseSize(text: string | number, what: string): number {
  const match = /^\s*(\d{1,16}(?:\.\d{1,6})?)\s*([a-z]*)\s*$/i.exec(String(text));
  const number = Number(match?.[1] ?? Number.NaN);
  const suffix = match?.[2]?.toLowerCase() ?? '';
  const unit = suffix === '' && number >= BARE_BYTES ? 1 : SUFFIX[suffix];
  const bytes = unit === undefined ? Number.NaN : Math.round(number * unit);
  if (!Number.isSafeInteger(bytes)) {
    throw new RosettaVmError('E_SIZE', {
      what: `${what} is not a size: ${JSON.stringify(text)}.`,
      why: 'A size is a number with an optional suffix; without one it is GiB.',
      fix: 'Write it like 4, 4GiB or 4096MiB.',
      facts: { field: what, value: String(text) },
    });
  }
  return bytes;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 7 * 86_400 };

/** Parses `45s`, `30m`, `12h`, `7d`, `2w` into seconds. Throws `E_USAGE`. */
export function parseDuration(text: string, what: string): number {
  const match = /^(\d{1,6})([smhdw])$/i.exec(text.trim());
  const unit = SECONDS[match?.[2]?.toLowerCase() ?? ''];
  if (match === null || unit === undefined) {
    throw new RosettaVmError('E_USAGE', {
      what: `${what} is not a duration: ${JSON.stringify(text)}.`,
      why: 'A duration is a whole number with one of the suffixes s, m, h, d and w.',
      fix: 'Write it like 30m, 12h or 7d.',
      facts: { field: what, value: text },
    });
  }
  return Number(match[1]) * unit;
}

/** Formats bytes with at most one decimal and the largest binary unit that keeps the number at or above 1. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= KIB && unit < units.length - 1) {
    value /= KIB;
    unit += 1;
  }
  return `${unit === 0 ? value : Math.round(value * 10) / 10} ${units[unit]}`;
}
