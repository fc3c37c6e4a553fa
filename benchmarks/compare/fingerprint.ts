/** Whether two sessions were measured on the same kind of machine, and how to name one. */
import { createHash } from 'node:crypto';
import { formatSize, MIB } from '../../host/spec/units.ts';
import { type Fingerprint, fingerprintSchema } from '../session.ts';

export type FingerprintField = keyof Fingerprint;

/** All of them, in the order in which people are told of differences. */
export const FINGERPRINT_FIELDS = Object.keys(fingerprintSchema.shape) as readonly FingerprintField[];

const TITLES: Readonly<Record<FingerprintField, string>> = {
  os: 'operating system',
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
 * In what two fingerprints differ, a sentence part each: `CPU: AMD EPYC, Apple M4`. Fields of `accepted` may differ: what
 * is changed on purpose and under test.
 */
export function fingerprintDifferences(
  base: Fingerprint,
  change: Fingerprint,
  accepted: readonly FingerprintField[] = [],
): string[] {
  const differing = FINGERPRINT_FIELDS.filter(
    (field) =>
      !accepted.includes(field) &&
      JSON.stringify(plainValue(base, field)) !== JSON.stringify(plainValue(change, field)),
  );
  return differing.map((field) => {
    const words = [base, change].map((one) => describeField(one, field) ?? 'unknown');
    // Sizes may differ by less than their rounded form shows.
    const [before, after] = words[0] === words[1] ? [base[field], change[field]] : words;
    return `${TITLES[field]}: ${before}, ${after}`;
  });
}

/** Names a fingerprint in a history: equal ones have the same digest in every version that knows the same fields. */
export function fingerprintDigest(fingerprint: Fingerprint): string {
  const values = FINGERPRINT_FIELDS.map((field) => [field, plainValue(fingerprint, field)]);
  return createHash('sha256').update(JSON.stringify(values)).digest('hex').slice(0, 16);
}

/** The value in a form in which equal values have equal JSON; null when it is not known. */
function plainValue(fingerprint: Fingerprint, field: FingerprintField) {
  if (field !== 'translators') return fingerprint[field] ?? null;
  return Object.entries(fingerprint.translators).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** In words; null when it is not known. */
function describeField(fingerprint: Fingerprint, field: FingerprintField): string | null {
  if (field === 'translators') {
    const builds = Object.entries(fingerprint.translators).sort(([a], [b]) => (a < b ? -1 : 1));
    return builds.map(([name, build]) => `${name} ${build}`).join(' + ') || 'none';
  }
  if (field === 'hostMemoryBytes') return formatSize(fingerprint.hostMemoryBytes);
  if (field === 'memoryMiB') return formatSize(fingerprint.memoryMiB * MIB);
  return fingerprint[field]?.toString() ?? null;
}
