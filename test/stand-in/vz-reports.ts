/** What Macs say of themselves, made up from the documented versions of each class; none was read off a real Mac. */
import type { VzHostReport } from '../../host/drivers/vz/addon.ts';
import { GIB, MIB } from '../../host/spec/units.ts';
import { ROSETTA_NOT_INSTALLED } from './vz-failures.ts';

/** Of `sockaddr_un` in Linux; the framework publishes no number. */
const SOCKET_BYTES = 107;

/** An Apple silicon Mac of a macOS version that has everything it can have. */
export function macReport(major = 15, minor = 6): VzHostReport {
  const bytes = major >= 14 ? SOCKET_BYTES : 0;
  return {
    macOS: { major, minor, patch: 0 },
    architecture: 'arm64',
    translated: false,
    supported: true,
    entitled: true,
    cpus: { minimum: 1, maximum: 10 },
    memory: { minimum: 4 * MIB, maximum: 32 * GIB },
    rosetta: {
      availability: 'installed',
      share: true,
      error: null,
      maximumSocketPathBytes: bytes,
      maximumSocketNameBytes: bytes,
    },
  };
}

const NO_ROSETTA = { availability: 'absent', share: false, error: null } as const;

/** Macs on which something is different, by what it is. */
export const ODD_MACS = {
  'macOS 12': { ...macReport(12), rosetta: { ...macReport(12).rosetta, ...NO_ROSETTA } },
  'node without the entitlement': { ...macReport(), entitled: false },
  'x86_64 node under Rosetta': {
    ...macReport(),
    architecture: 'x86_64',
    translated: true,
    rosetta: { ...macReport(13).rosetta, ...NO_ROSETTA },
  },
  'an Intel Mac': {
    ...macReport(),
    architecture: 'x86_64',
    rosetta: { ...macReport(13).rosetta, ...NO_ROSETTA },
  },
  'macOS in a virtual machine': {
    ...macReport(),
    supported: false,
    rosetta: { ...macReport().rosetta, availability: 'notSupported', share: false },
  },
  'Rosetta not installed': {
    ...macReport(),
    rosetta: { ...macReport().rosetta, availability: 'notInstalled', share: false, error: ROSETTA_NOT_INSTALLED },
  },
  'macOS 27 that says Rosetta is not installed': {
    ...macReport(27, 0),
    rosetta: { ...macReport(27).rosetta, availability: 'notInstalled', share: false, error: ROSETTA_NOT_INSTALLED },
  },
  'macOS 27 that says so and makes the share all the same': {
    ...macReport(27, 0),
    rosetta: { ...macReport(27).rosetta, availability: 'notInstalled' },
  },
  'Rosetta installed, and no share of it': {
    ...macReport(),
    rosetta: { ...macReport().rosetta, share: false, error: { ...ROSETTA_NOT_INSTALLED, message: 'Internal error.' } },
  },
} as const satisfies Record<string, VzHostReport>;
