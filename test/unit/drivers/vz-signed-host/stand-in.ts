/**
 * A STAND-IN for Apple's `codesign` and for the kernel that judges its signatures. It works on real files: a
 * "signature" is a line of JSON at the end of the file, and signing makes a new inode, as codesign does. It knows the
 * options that the recipe uses and fails on others. It shows that the recipe's steps fit together and what each failure
 * comes to; whether macOS accepts such a signature it cannot show.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ADDON_PROTOCOL, type VzHostReport } from '../../../../host/drivers/vz/addon.ts';
import { grantedEntitlements, VIRTUALIZATION } from '../../../../host/drivers/vz/signed-host/entitlements.ts';
import type { NodeFacts } from '../../../../host/drivers/vz/signed-host/node-facts.ts';
import { type BuildFacts, CODESIGN } from '../../../../host/drivers/vz/signed-host/recipe.ts';
import type { CommandResult, CommandRunner } from '../../../../host/process/run-command.ts';
import { macReport } from '../../../stand-in/vz-reports.ts';

const MARK = '\nSTAND-IN SIGNATURE ';

interface Signature {
  readonly entitlements: string;
  readonly hardened: boolean;
  readonly bytes: number;
}

export interface StandInMac {
  readonly run: CommandRunner;
  /** Each command, in order. */
  readonly calls: string[][];
}

/** What macOS does differently from an ordinary day. */
export interface Quirks {
  /** Variants whose process the kernel kills. */
  readonly kills?: readonly ('plain' | 'hardened')[];
  /** stderr of a `codesign --sign` that fails. */
  readonly signFails?: string;
  readonly noCodesign?: boolean;
  readonly entitled?: boolean;
  readonly protocol?: number;
  /** stderr of dyld, which then aborts the process. */
  readonly dyld?: string;
  /** stderr of a `codesign --verify`, or of a `codesign --display`, that fails. */
  readonly verifyFails?: string;
  readonly displayFails?: string;
  /** Added to what codesign reads back. */
  readonly surplus?: string;
  /** Key that codesign does not read back. */
  readonly withheld?: string;
}

export const ended = (over: Partial<CommandResult> = {}): CommandResult => ({
  exitCode: 0,
  signal: null,
  stdout: '',
  stderr: '',
  timedOut: false,
  absent: false,
  ...over,
});

export const REPORT: VzHostReport = macReport();

export function standInMac(quirks: Quirks = {}): StandInMac {
  const calls: string[][] = [];
  const run: CommandRunner = async (argv, { signal }) => {
    signal?.throwIfAborted();
    calls.push([...argv]);
    return argv[0] === CODESIGN ? await codesign(argv.slice(1), quirks) : await selfTest(argv[0] ?? '', quirks);
  };
  return { run, calls };
}

async function codesign(words: readonly string[], quirks: Quirks): Promise<CommandResult> {
  if (quirks.noCodesign) return ended({ exitCode: null, absent: true });
  const file = words.at(-1) ?? '';
  switch (words[0]) {
    case '--force':
      if (quirks.signFails !== undefined) return ended({ exitCode: 1, stderr: quirks.signFails });
      return await sign(words, file);
    case '--verify': {
      if (quirks.verifyFails !== undefined) return ended({ exitCode: 1, stderr: quirks.verifyFails });
      const found = await signatureOf(file);
      return found === null
        ? ended({ exitCode: 1, stderr: `${file}: a sealed resource is missing or invalid` })
        : ended();
    }
    case '--display': {
      if (quirks.displayFails !== undefined) return ended({ exitCode: 1, stderr: quirks.displayFails });
      const found = await signatureOf(file);
      if (found === null) return ended({ exitCode: 1, stderr: `${file}: code object is not signed at all` });
      const { surplus = '', withheld = '' } = quirks;
      return ended({ stdout: found.entitlements.replace(`<key>${withheld}</key>`, '<key>another</key>') + surplus });
    }
    default:
      throw new Error(`The stand-in does not know codesign ${words.join(' ')}`);
  }
}

const SIGN_OPTIONS = [
  '--force',
  '--sign',
  '-',
  '--identifier',
  '--timestamp=none',
  '--options',
  'runtime',
  '--entitlements',
];

async function sign(words: readonly string[], file: string): Promise<CommandResult> {
  const plist = words[words.indexOf('--entitlements') + 1] ?? '';
  const identifier = words[words.indexOf('--identifier') + 1] ?? '';
  const unknown = words.filter((word) => ![...SIGN_OPTIONS, plist, identifier, file].includes(word));
  if (unknown.length > 0) throw new Error(`The stand-in does not know codesign ${unknown.join(' ')}`);
  const text = (await readFile(file, 'latin1')).split(MARK)[0] ?? '';
  const signature: Signature = {
    entitlements: await readFile(plist, 'utf8'),
    hardened: words.includes('runtime'),
    bytes: text.length,
  };
  const temporary = `${file}.${randomBytes(4).toString('hex')}`;
  await writeFile(temporary, `${text}${MARK}${JSON.stringify(signature)}`, { encoding: 'latin1', mode: 0o700 });
  await rename(temporary, file);
  return ended();
}

/** Null for an unsigned file and for one that was changed after it was signed. */
export async function signatureOf(file: string): Promise<Signature | null> {
  const [text = '', mark] = (await readFile(file, 'latin1')).split(MARK);
  if (mark === undefined) return null;
  const signature = JSON.parse(mark) as Signature;
  return signature.bytes === text.length ? signature : null;
}

async function selfTest(executable: string, quirks: Quirks): Promise<CommandResult> {
  const signature = await signatureOf(executable);
  const variant = signature?.hardened ? 'hardened' : 'plain';
  if (signature === null || quirks.kills?.includes(variant)) return ended({ exitCode: null, signal: 'SIGKILL' });
  if (quirks.dyld !== undefined) return ended({ exitCode: null, signal: 'SIGABRT', stderr: quirks.dyld });
  const granted = grantedEntitlements(signature.entitlements).includes(VIRTUALIZATION);
  const report = { ...REPORT, entitled: quirks.entitled ?? granted };
  const protocol = quirks.protocol ?? ADDON_PROTOCOL;
  const answer = { node: '22.23.2', architecture: 'arm64', protocol, report: JSON.stringify(report) };
  return ended({ stdout: JSON.stringify(answer) });
}

export interface StandInNode {
  readonly facts: BuildFacts;
  readonly hosts: string;
}

/** Files that stand for a node of this layout, a bundle and an addon, in `folder`. */
export async function standInNode(folder: string, layout: 'official' | 'homebrew'): Promise<StandInNode> {
  const prefix = path.join(folder, layout);
  const executable = path.join(prefix, 'bin/node');
  const library = path.join(prefix, 'lib/libnode.141.dylib');
  await mkdir(path.dirname(executable), { recursive: true });
  await mkdir(path.dirname(library), { recursive: true });
  await writeFile(executable, `node of the ${layout} layout`, { mode: 0o755 });
  if (layout === 'homebrew') await writeFile(library, 'libnode');
  const bundle = path.join(folder, 'machine-host.js');
  const addon = path.join(folder, 'built.node');
  await writeFile(bundle, 'bundle');
  await writeFile(addon, 'addon');
  const node: NodeFacts = {
    executable,
    sizeBytes: 26,
    modifiedMs: 1_700_000_000_000,
    version: '22.23.2',
    architecture: 'arm64',
    libnode: layout === 'homebrew' ? library : null,
  };
  const facts: BuildFacts = {
    node,
    version: '0.1.0',
    system: '24.4.0',
    bundle: { path: bundle, sha256: 'b'.repeat(64) },
    addon: { path: addon, sha256: createHash('sha256').update('addon').digest('hex') },
  };
  return { facts, hosts: path.join(folder, 'hosts') };
}
