/** Whether two sessions were measured on the same kind of machine, and how to name one. */
import { createHash } from 'node:crypto';
import { formatSize, MIB } from '../../host/spec/units.ts';
import { type Arm, type Fingerprint, fingerprintSchema } from '../session.ts';

export type FingerprintField = keyof Fingerprint;

/** All that this version knows, in the order in which people are told of differences. */
export const FINGERPRINT_FIELDS = Object.keys(fingerprintSchema.shape) as readonly FingerprintField[];

/** Of them, those that the first format did not have. */
const LATER_FIELDS: ReadonlySet<FingerprintField> = new Set(['hostKernel']);

const TITLES: Readonly<Record<FingerprintField, string>> = {
  os: 'operating system',
  hostKernel: 'kernel of the host',
  architecture: 'architecture',
  cpu: 'CPU',
  hostCpus: 'CPUs of the host',
  hostMemoryBytes: 'memory of the host',
  driver: 'driver',
  accelerator: 'accelerator',
  hypervisor: 'hypervisor',
  guestKernel: 'guest kernel',
  translators: 'translators',
  image: 'guest image',
  disk: 'disk',
  cpus: 'CPUs of the guest',
  memoryMiB: 'memory of the guest',
  powerState: 'power',
};

/** Field and value in words, in the order of {@link FINGERPRINT_FIELDS}; what is not known is left out. */
export function describeFingerprint(fingerprint: Fingerprint): (readonly [title: string, value: string])[] {
  return FINGERPRINT_FIELDS.flatMap((field) => {
    const value = describeField(fingerprint, field);
    return value === null ? [] : [[TITLES[field], value] as const];
  });
}

/**
 * In what two machines differ, a sentence part each: `CPU: AMD EPYC, Apple M4`. Fields of `accepted` may differ: what is
 * changed on purpose and under test. Translators are the arms' own affair: {@link translatorDifferences}. A field that only
 * one of the two has because the other's format did not know it is no difference.
 */
export function fingerprintDifferences(
  base: Fingerprint,
  change: Fingerprint,
  accepted: readonly FingerprintField[] = [],
): string[] {
  const compared = FINGERPRINT_FIELDS.filter((field) => field !== 'translators' && !accepted.includes(field));
  const [from, to] = [asCompared(base), asCompared(change)];
  const differing = compared.filter((field) => {
    const [before, after] = [from[field] ?? null, to[field] ?? null];
    return before !== after && !(LATER_FIELDS.has(field) && (before === null || after === null));
  });
  return differing.map((field) => {
    const words = [base, change].map((one) => describeField(one, field) ?? 'unknown');
    // Sizes may differ by less than their rounded form shows.
    const [before, after] = words[0] === words[1] ? [base[field], change[field]] : words;
    return `${TITLES[field]}: ${before}, ${after}`;
  });
}

/** Whether the translator that an arm names is the same build on both sides: one sentence part, or none. */
export function translatorDifferences(base: Fingerprint, change: Fingerprint, { dimensions }: Arm): string[] {
  const { translator } = dimensions;
  if (translator === undefined) return [];
  const [before, after] = [base, change].map(({ translators }) => translators[translator] ?? 'unknown');
  return before === after ? [] : [`translator ${translator}: ${before}, ${after}`];
}

/**
 * Linux counts as memory what its kernel has left after itself (MemTotal, proc_meminfo(5)), which differs by some pages
 * from build to build: two of 6.18 on one kind of machine differed by one page.
 */
const HOST_MEMORY_STEP_BYTES = 256 * MIB;

const asCompared = (fingerprint: Fingerprint): Fingerprint => ({
  ...fingerprint,
  hostMemoryBytes: Math.round(fingerprint.hostMemoryBytes / HOST_MEMORY_STEP_BYTES) * HOST_MEMORY_STEP_BYTES,
});

/** The fingerprint as it is compared, as far as it concerns an arm: with no other translator than its own. */
export function fingerprintOfArm(fingerprint: Fingerprint, { dimensions: { translator } }: Arm): Fingerprint {
  const build = translator === undefined ? undefined : fingerprint.translators[translator];
  return {
    ...asCompared(fingerprint),
    translators: translator === undefined || build === undefined ? {} : { [translator]: build },
  };
}

/**
 * Names a fingerprint in a history. Everything that is known counts, by name, whatever version knows it: so a field that comes
 * in later changes no digest of a fingerprint without it, and a version that does not know the field can check the digest.
 */
export function fingerprintDigest(fingerprint: Partial<Fingerprint>): string {
  const known = Object.entries(fingerprint).filter(([, value]) => value !== undefined && value !== null);
  return digestOf(known.sort(byName).map(([field, value]) => [field, plainValue(value)]));
}

/** The same in lines of a history's first format, which hashed the fields that there were then, null for what was not known. */
export function fingerprintDigestOfFirstFormat(fingerprint: Fingerprint): string {
  return digestOf(
    FINGERPRINT_FIELDS.filter((field) => !LATER_FIELDS.has(field)).map((field) => [
      field,
      plainValue(fingerprint[field] ?? null),
    ]),
  );
}

const digestOf = (values: unknown): string =>
  createHash('sha256').update(JSON.stringify(values)).digest('hex').slice(0, 16);

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

/** In a form in which equal values have equal JSON. */
const plainValue = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? Object.entries(value).sort(byName) : value;

/** In words; null when it is not known. */
function describeField(fingerprint: Fingerprint, field: FingerprintField): string | null {
  if (field === 'translators') {
    const builds = Object.entries(fingerprint.translators).sort(byName);
    return builds.map(([name, build]) => `${name} ${build}`).join(' + ') || 'none';
  }
  if (field === 'hostMemoryBytes') return formatSize(fingerprint.hostMemoryBytes);
  if (field === 'memoryMiB') return formatSize(fingerprint.memoryMiB * MIB);
  return fingerprint[field]?.toString() ?? null;
}
