import { describe, expect, test } from 'vitest';
import type { VzHostReport } from '../../../../host/drivers/vz/addon.ts';
import { describeMac, requireEntitlement, requireMac } from '../../../../host/drivers/vz/capabilities.ts';
import { macReport, ODD_MACS } from '../../../stand-in/vz-reports.ts';
import { macPlan } from './plans.ts';

const statuses = (report: VzHostReport) =>
  Object.fromEntries(describeMac(report).capabilities.map(({ id, status }) => [id, status]));

const ALL_OK = {
  macos: 'ok',
  'node-architecture': 'ok',
  virtualization: 'ok',
  entitlement: 'ok',
  rosetta: 'ok',
  'translation-cache': 'ok',
  'save-restore': 'ok',
};
const NO_ROSETTA = { rosetta: 'missing', 'translation-cache': 'degraded' };

test.each<[string, VzHostReport, boolean, object]>([
  ['macOS 13', macReport(13), true, { macos: 'degraded', 'translation-cache': 'degraded', 'save-restore': 'degraded' }],
  ['macOS 14', macReport(14), true, {}],
  ['macOS 15', macReport(15), true, {}],
  ['macOS 26', macReport(26), true, {}],
  ['macOS 27', macReport(27), true, {}],
  ['macOS 28', macReport(28), true, {}],
  ['macOS 12', ODD_MACS['macOS 12'], false, { macos: 'missing', ...NO_ROSETTA, 'save-restore': 'degraded' }],
  ['no entitlement', ODD_MACS['node without the entitlement'], true, { entitlement: 'degraded' }],
  [
    'x86_64 node',
    ODD_MACS['x86_64 node under Rosetta'],
    false,
    { 'node-architecture': 'missing', ...NO_ROSETTA, 'save-restore': 'degraded' },
  ],
  [
    'Intel',
    ODD_MACS['an Intel Mac'],
    false,
    { 'node-architecture': 'missing', ...NO_ROSETTA, 'save-restore': 'degraded' },
  ],
  ['a VM', ODD_MACS['macOS in a virtual machine'], false, { virtualization: 'missing', ...NO_ROSETTA }],
  ['no Rosetta', ODD_MACS['Rosetta not installed'], true, NO_ROSETTA],
  ['no Rosetta on 27', ODD_MACS['macOS 27 that says Rosetta is not installed'], true, NO_ROSETTA],
  ['a share on 27', ODD_MACS['macOS 27 that says so and makes the share all the same'], true, {}],
  ['no share', ODD_MACS['Rosetta installed, and no share of it'], true, NO_ROSETTA],
])('%s', (_what, report, usable, differences) => {
  expect(describeMac(report)).toMatchObject({ driver: 'vz', usable });
  expect(statuses(report)).toEqual({ ...ALL_OK, ...differences });
});

test.each(Object.entries(ODD_MACS))('%s: what is not in order says why', (_what, report) => {
  for (const { status, why, what } of describeMac(report).capabilities) {
    expect(what).not.toBe('');
    expect(why === '').toBe(status === 'ok');
  }
});

test('an x86_64 node on Apple silicon is told to be replaced, an Intel Mac is told what it is', () => {
  const of = (report: VzHostReport) => describeMac(report).capabilities.find(({ id }) => id === 'node-architecture');
  expect(of(ODD_MACS['x86_64 node under Rosetta'])).toMatchObject({
    fix: expect.stringContaining('arm64 build of Node'),
  });
  expect(of(ODD_MACS['an Intel Mac'])).toMatchObject({ what: 'This Mac has an Intel processor', fix: '' });
});

test('nobody on macOS 27 or later is told to install Rosetta, whatever the framework says', () => {
  for (const availability of ['absent', 'notSupported', 'notInstalled', 'installed'] as const) {
    for (const major of [27, 28, 30]) {
      const report = { ...macReport(major), rosetta: { ...macReport(major).rosetta, availability, share: false } };
      expect(JSON.stringify(describeMac(report))).not.toMatch(/softwareupdate|install-rosetta|not installed/);
      expect(() => requireMac(report, macPlan())).toThrow(expect.objectContaining({ code: 'E_HOST_MISSING' }));
    }
  }
  const older = describeMac(ODD_MACS['Rosetta not installed']).capabilities.find(({ id }) => id === 'rosetta');
  expect(older?.fix).toContain('softwareupdate --install-rosetta --agree-to-license');
});

describe('what a plan needs', () => {
  test('Rosetta, only where it is the translator; the error has the framework’s number', () => {
    const report = ODD_MACS['Rosetta not installed'];
    expect(() => requireMac(report, macPlan())).toThrow(
      expect.objectContaining({
        code: 'E_HOST_MISSING',
        facts: expect.objectContaining({ capability: 'rosetta', name: 'VZErrorInvalidVirtualMachineConfiguration' }),
      }),
    );
    expect(() => requireMac(report, macPlan({ translator: 'box64' }))).not.toThrow();
  });

  test.each([
    ['macos', ODD_MACS['macOS 12']],
    ['node-architecture', ODD_MACS['x86_64 node under Rosetta']],
    ['node-architecture', ODD_MACS['an Intel Mac']],
    ['virtualization', ODD_MACS['macOS in a virtual machine']],
  ])('%s, always', (capability, report) => {
    expect(() => requireMac(report, macPlan({ translator: 'box64' }))).toThrow(
      expect.objectContaining({ code: 'E_HOST_UNSUPPORTED', facts: { capability }, fix: expect.stringMatching(/./) }),
    );
  });

  test('the entitlement, where the machine runs', () => {
    expect(() => requireEntitlement(macReport())).not.toThrow();
    expect(() => requireEntitlement(ODD_MACS['node without the entitlement'])).toThrow(
      expect.objectContaining({ code: 'E_HOST_UNSUPPORTED', fix: expect.stringContaining('doctor') }),
    );
  });
});
