/** The runc shim itself, compiled for this host, and a bundle in a temporary folder for it to work on. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { editsFile } from '../../../../guest/engine/edits.ts';
import { compileForHost } from './compile.ts';
import { elfFile } from './elf.ts';

export interface Config {
  readonly process: { readonly args: readonly string[]; readonly env: readonly string[] };
  readonly root: { readonly path: string; readonly readonly?: boolean };
  readonly mounts: readonly { readonly destination: string; readonly [key: string]: unknown }[];
  readonly [key: string]: unknown;
}

/** As containerd writes it, shortened. */
export const CONFIG: Config = {
  ociVersion: '1.2.0',
  process: { args: ['/bin/sh', '-c', 'echo "[{"'], env: ['PATH=/bin', 'TERM=xterm'] },
  root: { path: 'rootfs', readonly: true },
  hostname: 'x',
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755'] },
  ],
  linux: { seccomp: { syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }] } },
};

export interface RuncBundle {
  /** The bundle's folder, which has a root of an x86_64 system. */
  readonly bundle: string;
  /** The compiled shim; its edits add two mounts and a variable unless a test writes others. */
  readonly shim: string;
  /** A path in the temporary folder: `edits`, `called` (what the stand-in for the runtime was given), or a test's own. */
  at(name: string): string;
  /** Writes a program into the root. */
  program(name: string, content: string | Buffer): Promise<void>;
  writeConfig(config: unknown): Promise<void>;
  readConfigText(): Promise<string>;
  readConfig(): Promise<Config>;
  /** Makes a stand-in for an OCI runtime, which notes what it was given, and ends with 7. */
  runtime(name: 'crun' | 'runc'): Promise<void>;
  /** Runs the shim as containerd does; the runtime's exit status must be the shim's. */
  run(args?: readonly string[]): void;
  /** Runs it on this configuration, which must stay as it is. */
  expectUntouched(config: unknown): Promise<void>;
}

/** Compiles the shim once for a test file, and makes the bundle anew for each test. */
export function runcBundle(): RuncBundle {
  const folder = mkdtempSync(path.join(tmpdir(), 'rvm-runc-'));
  const at = (name: string): string => path.join(folder, name);
  const bundle = at('bundle');
  let shim = '';

  beforeAll(async () => {
    await mkdir(at('runtime'));
    shim = await compileForHost('runc', folder, {
      EDITS_FILE: at('edits'),
      CRUN: at('runtime/crun'),
      RUNC: at('runtime/runc'),
    });
    await runtime('crun');
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    await rm(bundle, { recursive: true, force: true });
    await rm(at('called'), { force: true });
    await mkdir(path.join(bundle, 'rootfs/bin'), { recursive: true });
    await mkdir(path.join(bundle, 'rootfs/lib64'), { recursive: true });
    await program('bin/sh', elfFile({}));
    await writeFile(at('edits'), editsFile(EDITS));
  });

  const runtime = (name: string): Promise<void> =>
    writeFile(at(`runtime/${name}`), `#!/bin/sh\nprintf "%s\\n" ${name} "$@" >${at('called')}\nexit 7\n`, {
      mode: 0o755,
    });
  const program = (name: string, content: string | Buffer): Promise<void> =>
    writeFile(path.join(bundle, 'rootfs', name), content, { mode: 0o755 });
  const writeConfig = (config: unknown): Promise<void> =>
    writeFile(path.join(bundle, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  const readConfigText = (): Promise<string> => readFile(path.join(bundle, 'config.json'), 'utf8');

  const run = (args: readonly string[] = ['--root', '/run/runc', 'create', '--bundle', bundle, 'id']): void => {
    try {
      execFileSync(shim, args, { cwd: bundle, stdio: 'ignore' });
    } catch (error) {
      expect((error as { status: number }).status).toBe(7);
      return;
    }
    throw new Error('The runtime was not started');
  };

  return {
    bundle,
    get shim() {
      return shim;
    },
    at,
    runtime,
    program,
    writeConfig,
    readConfigText,
    readConfig: async () => JSON.parse(await readConfigText()) as Config,
    run,
    expectUntouched: async (config) => {
      await writeConfig(config);
      const before = await readConfigText();
      run();
      expect(await readConfigText()).toBe(before);
      expect(await readdir(bundle)).toEqual(['config.json', 'rootfs']);
    },
  };
}

const EDITS = {
  mounts: [
    { path: '/dev/rvm', readOnly: true },
    { path: '/dev/rvm-cache', readOnly: false },
  ],
  env: { ROSETTA_DISABLE_AOT: '1' },
};
