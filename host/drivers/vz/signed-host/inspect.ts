/** What `doctor` shows of the signed copy of node: a line a step of the recipe. Looks, changes nothing. */
import { createHash } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { RosettaVmError } from '../../../errors.ts';
import type { Capability } from '../../driver.ts';
import { isComplete, partsOf } from './ensure.ts';
import { entitlementsPlist } from './entitlements.ts';
import { compareEntitlements, type Tools } from './execute.ts';
import { codesignError, entitlementError, selfTestError } from './failures.ts';
import type { BuildFacts } from './recipe.ts';
import { entitlementQuery, hostKey, PLIST, SELF_TEST_LIMIT_MS, selfTest, verification } from './recipe.ts';
import { selfTestOutcome } from './self-test.ts';

const FIX = 'Run `rosetta-vm doctor --fix`, which makes the copy anew.';
const CODESIGN_LIMIT_MS = 20_000;

export interface Inspection extends Tools {
  readonly hosts: string;
  readonly facts: BuildFacts;
}

/** Never rejects for what is wrong with the copy. */
export async function inspectSignedHost(inspection: Inspection): Promise<Capability[]> {
  const { hosts, facts } = inspection;
  const directory = path.join(hosts, hostKey(facts));
  if (!(await isComplete(directory))) return [sourceRow(facts), notMade(directory)];
  const { executable, addon } = partsOf(directory);
  return [
    sourceRow(facts),
    ok('signed-copy', executable),
    ...(facts.node.libnode === null ? [] : [await libnodeRow(directory, facts.node.libnode)]),
    await plistRow(directory),
    await signatureRow(inspection, executable),
    await entitlementRow(inspection, executable),
    await addonRow(addon, facts.addon.sha256),
    await selfTestRow(inspection, directory),
  ];
}

function sourceRow({ node }: BuildFacts): Capability {
  const layout = node.libnode === null ? 'one file' : `with ${path.basename(node.libnode)}, as Homebrew builds it`;
  return ok('signed-source', `Node.js ${node.version}, ${layout}: ${node.executable}`);
}

const notMade = (directory: string): Capability => ({
  id: 'signed-copy',
  status: 'degraded',
  what: 'There is no signed copy of this Node.js yet',
  why: `The first start makes ${directory}, in seconds.`,
  fix: 'Run `rosetta-vm doctor --fix` to have it ready.',
});

async function libnodeRow(directory: string, libnode: string): Promise<Capability> {
  const link = path.join(directory, path.basename(libnode));
  try {
    return ok('signed-libnode', await realpath(link));
  } catch (error) {
    const why = (error as Error).message;
    return { id: 'signed-libnode', status: 'missing', what: `${link} leads nowhere`, why, fix: FIX };
  }
}

async function plistRow(directory: string): Promise<Capability> {
  const file = path.join(directory, PLIST);
  const text = await readFile(file, 'utf8').catch(() => '');
  if (text === entitlementsPlist()) return ok('signed-plist', file);
  const what = `${file} is not what was written`;
  return { id: 'signed-plist', status: 'degraded', what, why: 'Somebody changed or removed it.', fix: FIX };
}

async function signatureRow({ run, env, signal }: Tools, executable: string): Promise<Capability> {
  const result = await run(verification(executable), { env, limitMs: CODESIGN_LIMIT_MS, signal });
  if (result.exitCode === 0) return ok('signed-signature', 'codesign finds it valid');
  return row('signed-signature', codesignError('verification', result));
}

async function entitlementRow({ run, env, signal }: Tools, executable: string): Promise<Capability> {
  const result = await run(entitlementQuery(executable), { env, limitMs: CODESIGN_LIMIT_MS, signal });
  if (result.exitCode !== 0) return row('signed-entitlement', codesignError('entitlement', result));
  const difference = compareEntitlements(result.stdout);
  if (difference !== null) return row('signed-entitlement', entitlementError(difference.missing, difference.surplus));
  return ok('signed-entitlement', 'com.apple.security.virtualization, and what Node.js needs');
}

async function addonRow(file: string, sha256: string): Promise<Capability> {
  const found = createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
  if (found === sha256) return ok('signed-addon', file);
  const what = `${file} is not the addon of this installation`;
  return { id: 'signed-addon', status: 'missing', what, why: 'Somebody changed it.', fix: FIX };
}

async function selfTestRow({ run, env, signal }: Tools, directory: string): Promise<Capability> {
  const outcome = selfTestOutcome(await run(selfTest(directory), { env, limitMs: SELF_TEST_LIMIT_MS, signal }));
  if (outcome.kind !== 'passed') return row('signed-self-test', selfTestError(outcome));
  const { node } = outcome.answer;
  return ok('signed-self-test', `The copy runs (Node.js ${node}) and macOS gives it the entitlement`);
}

const ok = (id: string, what: string): Capability => ({ id, status: 'ok', what, why: '', fix: '' });

/** The remedy of a copy that was good once is another copy. */
const row = (id: string, { what, why }: RosettaVmError): Capability => ({ id, status: 'missing', what, why, fix: FIX });
