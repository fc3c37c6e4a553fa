import { appendFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Capability } from '../../../../host/drivers/driver.ts';
import { ensureSignedHost, type SignedHost } from '../../../../host/drivers/vz/signed-host/ensure.ts';
import { inspectSignedHost } from '../../../../host/drivers/vz/signed-host/inspect.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { type Quirks, standInMac, standInNode } from './stand-in.ts';

async function inspected(
  layout: 'official' | 'homebrew',
  damage: ((host: SignedHost) => Promise<unknown>) | null,
  quirks: Quirks = {},
): Promise<readonly Capability[]> {
  const { facts, hosts } = await standInNode(await temporaryFolder(), layout);
  if (damage !== null) {
    const host = await ensureSignedHost({ hosts, facts, run: standInMac().run, env: {}, onProgress: () => {} });
    await host.lease.release();
    await damage(host);
  }
  return await inspectSignedHost({ hosts, facts, run: standInMac(quirks).run, env: {} });
}

const statuses = (rows: readonly Capability[]) => Object.fromEntries(rows.map(({ id, status }) => [id, status]));
const nothing = async (): Promise<void> => {};

test('before the first start doctor says that there is no copy, which keeps no machine from starting', async () => {
  const rows = await inspected('official', null);
  expect(statuses(rows)).toEqual({ 'signed-source': 'ok', 'signed-copy': 'degraded' });
  expect(rows[1]?.fix).toContain('doctor --fix');
});

test('a line a step, all well', async () => {
  expect(statuses(await inspected('homebrew', nothing))).toEqual({
    'signed-source': 'ok',
    'signed-copy': 'ok',
    'signed-libnode': 'ok',
    'signed-plist': 'ok',
    'signed-signature': 'ok',
    'signed-entitlement': 'ok',
    'signed-addon': 'ok',
    'signed-self-test': 'ok',
  });
  expect(statuses(await inspected('official', nothing))).not.toHaveProperty('signed-libnode');
});

test.each([
  ['signed-signature', (host: SignedHost) => writeFile(host.executable, 'another program'), {}],
  ['signed-addon', (host: SignedHost) => appendFile(host.addon, 'x'), {}],
  ['signed-plist', (host: SignedHost) => writeFile(path.join(host.directory, 'entitlements.plist'), ''), {}],
  ['signed-self-test', nothing, { kills: ['plain'] }],
  ['signed-self-test', nothing, { entitled: false }],
  ['signed-signature', nothing, { verifyFails: 'invalid signature' }],
  ['signed-entitlement', nothing, { displayFails: 'code object is not signed at all' }],
  ['signed-entitlement', nothing, { withheld: 'com.apple.security.virtualization' }],
  ['signed-entitlement', nothing, { surplus: '<key>com.apple.vm.networking</key><true/>' }],
] as const)('%s shows what is wrong, why, and the way out', async (id, damage, quirks) => {
  const found = (await inspected('official', damage, quirks)).find((one) => one.id === id);
  expect(found?.status).not.toBe('ok');
  expect(found?.why).not.toBe('');
  expect(found?.fix).toContain('doctor --fix');
});

test.each([
  ['signed-signature', { verifyFails: 'invalid signature' }],
  ['signed-entitlement', { displayFails: 'code object is not signed at all' }],
] as const)('%s has codesign’s own words', async (id, quirks) => {
  const found = (await inspected('official', nothing, quirks)).find((one) => one.id === id);
  expect(found?.why).toBe(Object.values(quirks)[0]);
});

test('a library that Homebrew removed is seen', async () => {
  const folder = await temporaryFolder();
  const { facts, hosts } = await standInNode(folder, 'homebrew');
  const { run } = standInMac();
  const host = await ensureSignedHost({ hosts, facts, run, env: {}, onProgress: () => {} });
  await host.lease.release();
  await rm(path.dirname(facts.node.libnode ?? ''), { recursive: true });
  expect(statuses(await inspectSignedHost({ hosts, facts, run, env: {} }))['signed-libnode']).toBe('missing');
});
