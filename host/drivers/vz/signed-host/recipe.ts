/**
 * How the signed copy of node is made: which steps, in which order, of what. Pure; execute.ts does them.
 *
 * Virtualization.framework serves only a process whose executable carries an entitlement, and the user's node has none.
 * So the machine's host process runs on a copy that is signed, ad hoc, on this Mac at first use. The host's bundle and
 * the addon lie beside it: a running machine does not depend on what npm, nvm or brew do meanwhile.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { entitlementsPlist } from './entitlements.ts';
import type { NodeFacts } from './node-facts.ts';
import { SELF_TEST_SCRIPT } from './self-test.ts';

export interface BuildFacts {
  readonly node: NodeFacts;
  /** Version of rosetta-vm. */
  readonly version: string;
  /** os.release(): a new macOS may judge a signature anew (macOS 26 and 27 did), so it gets a fresh copy and self-test. */
  readonly system: string;
  /** The host process's bundle, one file. */
  readonly bundle: SourceFile;
  readonly addon: SourceFile;
}

export interface SourceFile {
  readonly path: string;
  readonly sha256: string;
}

/**
 * `plain` has no flags. `hardened` adds the hardened runtime, which a later macOS may demand of a process with this
 * entitlement; it is tried when the kernel kills the plain one.
 */
export const VARIANTS = ['plain', 'hardened'] as const;
export type Variant = (typeof VARIANTS)[number];

export type StepId =
  | 'folder'
  | 'copy'
  | 'libnode'
  | 'bundle'
  | 'addon'
  | 'self-test-script'
  | 'plist'
  | 'signature'
  | 'verification'
  | 'entitlement'
  | 'self-test'
  | 'record'
  | 'rename';

export type Step = { readonly id: StepId } & (
  | { readonly kind: 'folder'; readonly path: string }
  /** Always to a new name: macOS remembers signatures by inode, and an overwritten file that ran is killed. */
  | { readonly kind: 'copy'; readonly from: string; readonly to: string; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string; readonly path: string }
  | { readonly kind: 'write'; readonly path: string; readonly content: string; readonly mode: number }
  | { readonly kind: 'run'; readonly argv: readonly string[]; readonly limitMs: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
);

/** Part of macOS; it calls `codesign_allocate`, which may want the Command Line Tools. */
export const CODESIGN = '/usr/bin/codesign';
/** The name in Activity Monitor. */
export const EXECUTABLE = 'rosetta-vm-host';
const IDENTIFIER = 'dev.rosetta-vm.host';
export const BUNDLE = 'machine-host.mjs';
export const ADDON = 'vz.node';
export const SELF_TEST = 'self-test.cjs';
export const RECORD = 'host.json';
export const PLIST = 'entitlements.plist';

/** Hashing 150 MB takes a second. */
const CODESIGN_LIMIT_MS = 60_000;
/** The first start of a new executable is checked by the system (syspolicyd), which may take seconds. */
export const SELF_TEST_LIMIT_MS = 60_000;

/** Name of the folder: whatever could make the copy stale is in it. 16 hexadecimal digits. */
export function hostKey(facts: BuildFacts): string {
  const { node, version, system, bundle, addon } = facts;
  const text = JSON.stringify([
    [node.executable, node.sizeBytes, node.modifiedMs, node.version, node.libnode],
    [version, system, bundle.sha256, addon.sha256, entitlementsPlist(), SELF_TEST_SCRIPT],
  ]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

export interface RecipeInput {
  readonly facts: BuildFacts;
  readonly variant: Variant;
  /** New folder in which it is made. */
  readonly workspace: string;
  /** Where it is when it is done; on the same file system, and not there yet. */
  readonly destination: string;
}

export function recipe({ facts, variant, workspace, destination }: RecipeInput): readonly Step[] {
  const { node, bundle, addon } = facts;
  const inside = (name: string): string => path.join(workspace, name);
  const executable = inside(EXECUTABLE);
  const run = (id: StepId, argv: readonly string[], limitMs = CODESIGN_LIMIT_MS): Step => ({
    id,
    kind: 'run',
    argv,
    limitMs,
  });
  return [
    { id: 'folder', kind: 'folder', path: workspace },
    { id: 'copy', kind: 'copy', from: node.executable, to: executable, mode: 0o700 },
    // The copied starter looks beside itself (`@loader_path`); the library's own dependencies have absolute paths.
    ...(node.libnode === null ? [] : [linkTo(node.libnode, inside(path.basename(node.libnode)))]),
    { id: 'bundle', kind: 'copy', from: bundle.path, to: inside(BUNDLE), mode: 0o600 },
    { id: 'addon', kind: 'copy', from: addon.path, to: inside(ADDON), mode: 0o700 },
    { id: 'self-test-script', kind: 'write', path: inside(SELF_TEST), content: SELF_TEST_SCRIPT, mode: 0o600 },
    { id: 'plist', kind: 'write', path: inside(PLIST), content: entitlementsPlist(), mode: 0o600 },
    run('signature', signature(variant, inside(PLIST), executable)),
    run('verification', verification(executable)),
    run('entitlement', entitlementQuery(executable)),
    run('self-test', selfTest(workspace), SELF_TEST_LIMIT_MS),
    { id: 'record', kind: 'write', path: inside(RECORD), content: record(facts, variant), mode: 0o600 },
    { id: 'rename', kind: 'rename', from: workspace, to: destination },
  ];
}

const linkTo = (target: string, file: string): Step => ({ id: 'libnode', kind: 'link', target, path: file });

/** Never `--deep` (one file is signed) and never `--preserve-metadata` (it would keep node's keys and not add ours). */
function signature(variant: Variant, plist: string, executable: string): string[] {
  return [
    CODESIGN,
    '--force',
    '--sign',
    '-',
    '--identifier',
    IDENTIFIER,
    '--timestamp=none',
    ...(variant === 'hardened' ? ['--options', 'runtime'] : []),
    '--entitlements',
    plist,
    executable,
  ];
}

export const verification = (executable: string): string[] => [CODESIGN, '--verify', '--strict', executable];

export const entitlementQuery = (executable: string): string[] => [
  CODESIGN,
  '--display',
  '--entitlements',
  '-',
  '--xml',
  executable,
];

/** `folder`: the workspace or the finished folder. */
export const selfTest = (folder: string): string[] => [
  path.join(folder, EXECUTABLE),
  path.join(folder, SELF_TEST),
  path.join(folder, ADDON),
];

/** For people who look into the folder, and the sign that it is complete. */
function record(facts: BuildFacts, variant: Variant): string {
  return `${JSON.stringify({ schemaVersion: 1, variant, ...facts }, null, 2)}\n`;
}
