/** The router itself, compiled for this host, with stand-ins for the translators that it starts. */
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { TranslatorName } from '../../../../guest/protocol.ts';
import { box64 } from '../../../../guest/translators/box64.ts';
import { COUNTER_BYTES, readExecCounts } from '../../../../guest/translators/exec-counts.ts';
import { qemu } from '../../../../guest/translators/qemu.ts';
import { type RoutedTranslator, routerTable } from '../../../../guest/translators/router-table.ts';
import { compileForHost } from './compile.ts';

export const GLIBC = '/lib64/ld-linux-x86-64.so.2';
export const BUILD_ID = Buffer.from('0123456789abcdef0123456789abcdef01234567', 'hex');

/** A translator that tells how it was started. A script sees its own path as the first argument, not its argv[0]. */
export const STAND_IN = `#!${process.execPath}
console.log(JSON.stringify({ translator: process.argv[1], args: process.argv.slice(2), env: process.env }));
`;

/** What a stand-in told. */
export interface Started {
  readonly translator: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface CompiledRouter {
  /** The compiled router; box64 starts it as `router PROGRAM ARGUMENT…`. */
  readonly router: string;
  readonly folder: string;
  /** A path in the temporary folder: `counters`, `table`, `box64`, `qemu-x86_64`, or a test's own. */
  at(name: string): string;
  /** What the table has at the start of each test. */
  readonly translators: readonly RoutedTranslator[];
  /** Resolves to what the translator was given, which names itself without its folder. */
  run(args: readonly string[], env?: Record<string, string>): Promise<Started>;
  /** Per translator, the reasons that were counted. */
  counts(): Promise<Record<string, object>>;
}

/** Compiles the router once for a test file, and makes its table and counters anew for each test. */
export function compiledRouter(): CompiledRouter {
  const folder = mkdtempSync(path.join(tmpdir(), 'rvm-router-'));
  const at = (name: string): string => path.join(folder, name);
  const translators = [
    routed('box64', at('box64'), { BOX64_LOG: '0', BOX64_DYNACACHE: '1', BOX64_DYNACACHE_FOLDER: '/dev/rvm-cache' }),
    routed('qemu', at('qemu-x86_64')),
  ];
  let router = '';

  beforeAll(async () => {
    router = await compileForHost('router', folder, { RVM_DIR: folder });
    for (const name of ['box64', 'qemu-x86_64']) await writeFile(at(name), STAND_IN, { mode: 0o755 });
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    await writeFile(at('counters'), Buffer.alloc(COUNTER_BYTES));
    await writeFile(at('table'), routerTable(translators, []));
  });

  return {
    get router() {
      return router;
    },
    folder,
    at,
    translators,
    run: async (args, env = {}) => {
      const child = spawn(router, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
      const started = (await json(child.stdout)) as Started;
      return { ...started, translator: path.basename(started.translator) };
    },
    counts: async () => {
      const { translators: rows } = await readExecCounts(at('counters'), ['box64', 'qemu']);
      return Object.fromEntries(
        rows.map(({ name, reasons }) => [name, Object.fromEntries(Object.entries(reasons).filter(([, n]) => n > 0))]),
      );
    },
  };
}

function routed(name: TranslatorName, program: string, env: Record<string, string> = {}): RoutedTranslator {
  const { start } = name === 'box64' ? box64 : qemu;
  if (start.by !== 'router') throw new Error(`${name} is routed.`);
  return { name, program, start, env };
}
