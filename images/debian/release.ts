/**
 * InRelease: the signed list of an archive's index files and their digests
 * (https://wiki.debian.org/DebianRepository/Format).
 */
import { RosettaVmError } from '../../host/errors.ts';
import { parseControl } from './control.ts';
import type { ArchiveKeys } from './keys.ts';

export interface Release {
  readonly suite: string;
  readonly codename: string;
  readonly architectures: readonly string[];
  /** Unix seconds. */
  readonly date: number;
  /** Unix seconds; suites that never change in place (stable) carry none. */
  readonly validUntil?: number;
  /** Index files by their path below the suite's folder. */
  readonly files: ReadonlyMap<string, { readonly sha256: string; readonly bytes: number }>;
  /** Fingerprints of the archive keys whose signatures were found good. */
  readonly signedBy: readonly string[];
}

export interface ReleaseCheck {
  /** What was asked for: the file must be about this suite. */
  readonly suite: string;
  readonly keys: ArchiveKeys;
  /** Unix seconds. */
  readonly now: number;
  /** False: a Release past its Valid-Until is taken (a host whose apt is told so, with a frozen mirror). */
  readonly checkValidUntil: boolean;
  /** Where it came from, for messages. */
  readonly url: string;
}

/** A Release dated further ahead than this is refused: apt's Acquire::Max-FutureTime is 10 s; clocks here may be worse. */
const MAX_FUTURE_SECONDS = 24 * 3600;

/**
 * Verifies the clear-signed text and reads it. One good signature of a known, unexpired key is enough: Debian signs
 * with the old and the new release's keys at once. Throws `E_VERIFY`, or `E_INVALID` on a malformed file.
 */
export async function openRelease(inRelease: string, check: ReleaseCheck): Promise<Release> {
  const { text, signedBy } = await check.keys.verifyClearSigned(inRelease, check);
  const [paragraph] = parseControl(text);
  const field = (name: string): string => paragraph?.get(name) ?? '';
  if (field('suite') !== check.suite && field('codename') !== check.suite) {
    throw refused(check, `it is about ${field('codename') || 'nothing'} and not about ${check.suite}`);
  }
  const date = seconds(field('date'), check);
  const validUntil = field('valid-until') === '' ? undefined : seconds(field('valid-until'), check);
  if (date > check.now + MAX_FUTURE_SECONDS) {
    throw refused(check, `it is dated ${field('date')}, later than this computer's clock`);
  }
  if (check.checkValidUntil && validUntil !== undefined && validUntil < check.now) {
    throw refused(
      check,
      `it was valid until ${field('valid-until')}: the mirror is out of date, or replays an old state`,
    );
  }
  return {
    suite: field('suite'),
    codename: field('codename'),
    architectures: field('architectures').split(/\s+/),
    date,
    ...(validUntil === undefined ? {} : { validUntil }),
    files: digests(field('sha256'), check),
    signedBy,
  };
}

function digests(field: string, check: ReleaseCheck): Map<string, { sha256: string; bytes: number }> {
  const files = new Map<string, { sha256: string; bytes: number }>();
  for (const line of field.split('\n')) {
    if (line === '') continue;
    const match = /^([0-9a-f]{64})\s+(\d{1,15})\s+(\S+)$/.exec(line);
    const [, sha256, bytes, name] = match ?? [];
    if (sha256 === undefined || bytes === undefined || name === undefined) {
      throw refused(check, `its list of digests has the line ${JSON.stringify(line.slice(0, 80))}`);
    }
    files.set(name, { sha256, bytes: Number(bytes) });
  }
  return files;
}

function seconds(text: string, check: ReleaseCheck): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw refused(check, `${JSON.stringify(text.slice(0, 40))} is no date`);
  return Math.floor(ms / 1000);
}

function refused(check: ReleaseCheck, why: string): RosettaVmError {
  return new RosettaVmError('E_VERIFY', {
    what: `The index of Debian ${check.suite} is not acceptable.`,
    why: `${check.url}: ${why}.`,
    fix: 'Check this computer’s clock, or choose another mirror with `--mirror URL`.',
    facts: { url: check.url, suite: check.suite },
  });
}
