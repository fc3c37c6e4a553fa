import { expect, test } from 'vitest';
import { describeHost, requireTools } from '../../../host/drivers/qemu/capabilities.ts';
import type { HostFindings } from '../../../host/drivers/qemu/probe.ts';
import { findings, plan, tools } from './fixtures.ts';

const statuses = (found: HostFindings): Record<string, string> =>
  Object.fromEntries(describeHost(found).capabilities.map(({ id, status }) => [id, status]));

test('a host that has everything is usable, and only saving is missing', () => {
  expect(describeHost(findings).usable).toBe(true);
  expect(statuses(findings)).toEqual({
    qemu: 'ok',
    accelerator: 'ok',
    virtiofs: 'ok',
    vsock: 'ok',
    'process-guard': 'ok',
    lock: 'ok',
    'save-restore': 'degraded',
  });
  expect(requireTools(findings, plan)).toEqual({ ...tools, accelerator: 'kvm' });
});

test.each<[string, Partial<HostFindings>]>([
  ['qemu', { qemu: null }],
  ['qemu', { qemu: { path: '/q', version: '5.2.0', why: 'It is version 5.2; 7.0 is the oldest that can be used.' } }],
  ['virtiofs', { virtiofsd: null }],
  ['virtiofs', { virtiofsd: { tool: tools.virtiofsd, version: 'v', why: 'It does not run.' } }],
  ['vsock', { vsock: null }],
  ['vsock', { vsock: { path: '/v', version: '?', why: 'It does not run.' } }],
  ['process-guard', { setpriv: null }],
])('without %s no machine starts, and the error says what to do', (id, missing) => {
  const found = { ...findings, ...missing };
  expect(describeHost(found).usable).toBe(false);
  expect(() => requireTools(found, plan)).toThrow(
    expect.objectContaining({ code: 'E_HOST_MISSING', facts: expect.objectContaining({ capability: id }) }),
  );
  const capability = describeHost(found).capabilities.find((one) => one.id === id);
  expect(capability).toMatchObject({ status: 'missing', why: /./, fix: /./ });
});

test('everything that is not in order says why', () => {
  const bad = { ...findings, kvm: { usable: false, why: 'There is no /dev/kvm.', fix: '' }, flock: null, vsock: null };
  for (const { status, why } of describeHost(bad).capabilities) expect(why === '').toBe(status === 'ok');
});

test('without KVM the CPU is emulated, unless KVM was asked for', () => {
  const found = { ...findings, kvm: { usable: false, why: 'A trial guest did not power off.', fix: '' } };
  expect(statuses(found).accelerator).toBe('degraded');
  expect(describeHost(found).usable).toBe(true);
  expect(requireTools(found, plan).accelerator).toBe('tcg');
  expect(() => requireTools(found, { ...plan, qemu: { accelerator: 'kvm' } })).toThrow(
    expect.objectContaining({ code: 'E_HOST_UNSUPPORTED', why: 'A trial guest did not power off.' }),
  );
});

test('the kernel’s own vsock is named, with the reason why it does not help', () => {
  const [vsock] = describeHost({ ...findings, vsock: null, kernelVsock: true }).capabilities.filter(
    ({ id }) => id === 'vsock',
  );
  expect(vsock?.why).toContain('/dev/vhost-vsock is here, but Node.js cannot open its sockets');
});
