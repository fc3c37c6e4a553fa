/** The names and numbers that addon.ts and the addon's sources both have: nothing but this test holds them together. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ADDON_DOMAIN,
  ADDON_FAILURES,
  ADDON_PROTOCOL,
  type VzConfiguration,
  type VzHostReport,
} from '../../../host/drivers/vz/addon.ts';
import { NATIVE, sources } from './type-check.ts';

/** Has every field and every kind there is: the compiler sees to the fields. */
const EVERYTHING: Required<VzConfiguration> = {
  label: '',
  CPUCount: 1,
  memorySize: 1,
  machineIdentifier: '',
  bootLoader: { kernelURL: '', initialRamdiskURL: null, commandLine: '' },
  disks: [
    { bus: 'nvme', readOnly: true, attachment: { kind: 'file', path: '' } },
    { bus: 'virtio', readOnly: true, attachment: { kind: 'block', path: '' } },
    { bus: 'usb', readOnly: true, attachment: { kind: 'nbd', url: '', timeout: 1 } },
  ],
  shares: [{ tag: '', path: '', readOnly: true }],
  rosetta: { tag: '', caching: { kind: 'unix', path: '' } },
  network: { MACAddress: '' },
  serialLog: '',
  graphics: { widthInPixels: 1, heightInPixels: 1 },
  macKeyboard: true,
};
/** Of the other kind of caching. */
const ABSTRACT: VzConfiguration['rosetta'] = { tag: '', caching: { kind: 'abstract', name: '' } };

const REPORT: Required<VzHostReport> = {
  macOS: { major: 1, minor: 1, patch: 1 },
  architecture: 'arm64',
  translated: false,
  supported: false,
  entitled: false,
  cpus: { minimum: 1, maximum: 1 },
  memory: { minimum: 1, maximum: 1 },
  rosetta: { availability: 'absent', share: false, error: null, maximumSocketPathBytes: 0, maximumSocketNameBytes: 0 },
};

function keys(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(keys);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [name, ...keys(inner)]);
}

function kinds(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(kinds);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    (name === 'kind' || name === 'bus') && typeof inner === 'string' ? [inner] : kinds(inner),
  );
}

const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();

let text: string;
beforeAll(async () => {
  const headers = ['failure.h', 'core.h', 'connections.h'].map((name) => path.join(NATIVE, 'src', name));
  const files = [...(await sources()), ...headers];
  text = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
});

function found(pattern: RegExp): string[] {
  return sorted([...text.matchAll(pattern)].map((match) => match[1] ?? ''));
}

describe('addon.ts and the addon', () => {
  it('know the same fields of a configuration: one more on either side would be refused on a Mac', () => {
    const read = found(/\b(?:text|textOrNull|flag|integer|number|object|isNull|list)\(@"(\w+)"/g);
    expect(read).toEqual(sorted(keys([EVERYTHING, ABSTRACT])));
  });

  it('know the same kinds and buses', () => {
    expect(found(/isEqualToString:@"(\w+)"/g)).toEqual(sorted(kinds([EVERYTHING, ABSTRACT])));
  });

  it('know the same fields of a report', async () => {
    const report = await readFile(path.join(NATIVE, 'src/host_report.mm'), 'utf8');
    const names = [...report.matchAll(/\\"(\w+)\\":/g)].map((match) => match[1] ?? '');
    expect(sorted(names)).toEqual(sorted(keys(REPORT)));
    const availabilities: VzHostReport['rosetta']['availability'][] = ['installed', 'notInstalled', 'notSupported'];
    expect(found(/return "(\w+)";/g)).toEqual(sorted(availabilities));
  });

  it('count failures and the protocol alike', () => {
    const body = /enum class AddonFailure : long \{([^}]*)\}/.exec(text)?.[1] ?? '';
    const codes = [...body.matchAll(/(\w+) = (\d+)/g)].map(([, name, code]) => [name, Number(code)]);
    expect(Object.fromEntries(codes)).toEqual(ADDON_FAILURES);
    expect(found(/kAddonDomain = "(\w+)"/g)).toEqual([ADDON_DOMAIN]);
    expect(found(/kProtocol = (\d+)/g)).toEqual([String(ADDON_PROTOCOL)]);
    expect(found(/kMaximumConnections = (\d+)/g)).toEqual(['4096']);
  });
});
