/** Sizes as people type them. */
import { RosettaVmError } from '../errors.ts';

const KIB = 1024;
export const MIB = KIB * 1024;
export const GIB = MIB * 1024;

const SUFFIX: Readonly<Record<string, number>> = {
  '': GIB,
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

/**
 * Parses `4`, `4GiB`, `4096M`, `1.5g` into bytes. A bare number is GiB, as in Lima and Colima; every suffix is a power
 * of 1024, as in Docker. Throws `E_SIZE`.
 */
export function parseSize(text: string | number, what: string): number {
  const match = /^\s*(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]*)\s*$/i.exec(String(text));
  const unit = match?.[2] === undefined ? undefined : SUFFIX[match[2].toLowerCase()];
  const bytes = match === null || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit);
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
