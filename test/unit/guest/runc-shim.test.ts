/** The runc shim itself, compiled for this host, on real bundles in a temporary folder. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { editsFile } from '../../../guest/engine/edits.ts';
import { compileForHost } from './support/compile.ts';
import { elfFile } from './support/elf.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rvm-runc-'));
const at = (name: string): string => path.join(folder, name);
const bundle = at('bundle');
const EM_AARCH64 = 183;
let shim: string;

beforeAll(async () => {
  shim = await compileForHost('runc', folder, { EDITS_FILE: at('edits'), RUNC: at('runc') });
  await writeFile(at('runc'), '#!/bin/sh\nprintf "%s\\n" "$@" >"$(dirname "$0")/called"\nexit 7\n', { mode: 0o755 });
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  await rm(bundle, { recursive: true, force: true });
  await rm(at('called'), { force: true });
  await mkdir(path.join(bundle, 'rootfs/bin'), { recursive: true });
  await mkdir(path.join(bundle, 'rootfs/lib64'), { recursive: true });
  await program('bin/sh', elfFile({}));
  await writeFile(
    at('edits'),
    editsFile({
      mounts: [
        { path: '/dev/rvm', readOnly: true },
        { path: '/dev/rvm-cache', readOnly: false },
      ],
      env: { ROSETTA_DISABLE_AOT: '1' },
    }),
  );
});

const program = (name: string, content: string | Buffer): Promise<void> =>
  writeFile(path.join(bundle, 'rootfs', name), content, { mode: 0o755 });

interface Config {
  readonly process: { readonly args: readonly string[]; readonly env: readonly string[] };
  readonly root: { readonly path: string; readonly readonly?: boolean };
  readonly mounts: readonly { readonly destination: string; readonly [key: string]: unknown }[];
  readonly [key: string]: unknown;
}

/** As containerd writes it, shortened. */
const CONFIG: Config = {
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

const writeConfig = (config: unknown): Promise<void> =>
  writeFile(path.join(bundle, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
const readConfigText = (): Promise<string> => readFile(path.join(bundle, 'config.json'), 'utf8');
const readConfig = async (): Promise<Config> => JSON.parse(await readConfigText()) as Config;

/** Runs the shim as containerd does; the real runc's exit status must be the shim's. */
function run(args: readonly string[] = ['--root', '/run/runc', 'create', '--bundle', bundle, 'id']): void {
  try {
    execFileSync(shim, args, { cwd: bundle, stdio: 'ignore' });
  } catch (error) {
    expect((error as { status: number }).status).toBe(7);
    return;
  }
  throw new Error('runc was not started');
}

const expectUntouched = async (config: unknown): Promise<void> => {
  await writeConfig(config);
  const before = await readConfigText();
  run();
  expect(await readConfigText()).toBe(before);
  expect(await readdir(bundle)).toEqual(['config.json', 'rootfs']);
};

describe('the runc shim', () => {
  it('adds mounts and variables to an x86_64 container, behind its own, and nothing else', async () => {
    await writeConfig(CONFIG);
    run();
    const { process, mounts, ...rest } = await readConfig();
    const { process: _process, mounts: _mounts, ...restBefore } = CONFIG;
    expect(rest).toEqual(restBefore);
    expect(process).toEqual({ ...CONFIG.process, env: [...CONFIG.process.env, 'ROSETTA_DISABLE_AOT=1'] });
    const bind = (directory: string, access: string) => ({
      destination: directory,
      type: 'bind',
      source: directory,
      options: ['bind', 'nosuid', 'nodev', access],
    });
    expect(mounts).toEqual([...CONFIG.mounts, bind('/dev/rvm', 'ro'), bind('/dev/rvm-cache', 'rw')]);
    expect((await stat(path.join(bundle, 'config.json'))).mode & 0o777).toBe(0o600);
    expect(await readdir(bundle)).toEqual(['config.json', 'rootfs']);
  });

  it('hands everything to runc as it was', async () => {
    await writeConfig(CONFIG);
    run(['--log', '', 'run', '--bundle', bundle, '--keep', 'a b']);
    expect(await readFile(at('called'), 'utf8')).toBe(`--log\n\nrun\n--bundle\n${bundle}\n--keep\na b\n`);
    expect((await readConfig()).mounts).toHaveLength(4);
  });

  it('changes a bundle once, however often it is started', async () => {
    await writeConfig(CONFIG);
    run();
    const once = await readConfigText();
    run();
    expect(await readConfigText()).toBe(once);
  });

  it.each([
    ['--bundle DIR', ['create', '--bundle', bundle, 'id']],
    ['--bundle=DIR', ['create', `--bundle=${bundle}`, 'id']],
    ['-b DIR', ['run', '-b', bundle, 'id']],
    ['the working folder', ['run', 'id']],
  ])('finds the bundle by %s', async (_how, args) => {
    await writeConfig(CONFIG);
    run(args);
    expect((await readConfig()).mounts).toHaveLength(4);
  });

  it.each([
    ['start', ['start', 'create2']],
    ['exec', ['exec', '--process', '/tmp/run', 'id', 'sh']],
    ['kill', ['--root', '/x', 'kill', 'id', '9']],
    ['nothing', []],
  ])('does not look at a bundle for %s', async (_what, args) => {
    await writeConfig(CONFIG);
    run(args);
    expect(await readConfig()).toEqual(CONFIG);
  });
});

describe('what the user wants wins', () => {
  it.each(['/dev/rvm', '/dev/rvm/'])('a mount at %s stays alone', async (destination) => {
    await writeConfig({ ...CONFIG, mounts: [...CONFIG.mounts, { destination, type: 'bind', source: '/mine' }] });
    run();
    const at = (await readConfig()).mounts.filter((mount) => mount.destination.startsWith('/dev/rvm'));
    expect(at).toMatchObject([{ source: '/mine' }, { destination: '/dev/rvm-cache' }]);
  });

  it('a variable of the same name stays as it is', async () => {
    const env = ['ROSETTA_DISABLE_AOT=', 'ROSETTA_DISABLE_AOTX=1'];
    await writeConfig({ ...CONFIG, process: { ...CONFIG.process, env } });
    run();
    expect((await readConfig()).process.env).toEqual(env);
  });
});

describe('which containers are x86_64', () => {
  const withArgs = (...args: string[]) => ({ ...CONFIG, process: { ...CONFIG.process, args } });
  const isEdited = async (): Promise<boolean> => (await readConfig()).mounts.length > CONFIG.mounts.length;

  it('not those of arm64, whatever else lies in them', async () => {
    await program('bin/sh', elfFile({ machine: EM_AARCH64 }));
    await program('lib64/ld-linux-x86-64.so.2', elfFile({}));
    await expectUntouched(CONFIG);
    await expectUntouched(withArgs('script'));
  });

  it('those whose program is, through links as the container sees them', async () => {
    await program('bin/sh', elfFile({ machine: EM_AARCH64 }));
    await program('bin/real', elfFile({}));
    await symlink('/bin/real', path.join(bundle, 'rootfs/bin/linked'));
    await symlink('../../../../../bin/real', path.join(bundle, 'rootfs/bin/out'));
    for (const name of ['/bin/real', '/bin/linked', '/bin/out']) {
      await writeConfig(withArgs(name));
      run();
      expect(await isEdited()).toBe(true);
    }
  });

  it('those whose shell is, when the program is a script or is found on PATH', async () => {
    await program('bin/script', '#!/bin/sh\n');
    for (const name of ['/bin/script', 'make', '/no/such']) {
      await writeConfig(withArgs(name));
      run();
      expect(await isEdited()).toBe(true);
    }
  });

  it('those with a root elsewhere, as Docker gives it', async () => {
    await writeConfig({ ...CONFIG, root: { path: path.join(bundle, 'rootfs') } });
    run();
    expect(await isEdited()).toBe(true);
  });

  it('and those that do not say: without the mounts a lone static program could not run', async () => {
    await rm(path.join(bundle, 'rootfs/bin/sh'));
    await writeConfig(withArgs('app'));
    run();
    expect(await isEdited()).toBe(true);
  });
});

describe('a container is left as it was', () => {
  it('when there is nothing to add', async () => {
    await writeFile(at('edits'), '');
    await expectUntouched(CONFIG);
    await rm(at('edits'));
    await expectUntouched(CONFIG);
  });

  it.each([
    ['has no mounts', { ...CONFIG, mounts: undefined }],
    ['has mounts of null', { ...CONFIG, mounts: null }],
    ['has no process', { ...CONFIG, process: undefined }],
    ['has no root', { ...CONFIG, root: undefined }],
    ['has a root that is not there', { ...CONFIG, root: { path: 'elsewhere' } }],
    ['is cut', JSON.stringify(CONFIG).slice(0, 200)],
    ['is no JSON', 'hello'],
    ['is empty', ''],
    ['is larger than any', `${JSON.stringify(CONFIG)}${' '.repeat(4 * 1024 * 1024)}`],
  ])('when its configuration %s', (_what, config) => expectUntouched(config));

  it('when it cannot be written anew', async () => {
    await writeConfig(CONFIG);
    // Root may write anywhere, but not to a file whose name is a folder's.
    await mkdir(path.join(bundle, 'config.json.rosetta-vm'));
    run();
    expect(await readConfig()).toEqual(CONFIG);
  });
});

describe('what the translator leaves in the home', () => {
  const rootfs = path.join(bundle, 'rootfs');
  const command = 'rosetta-vm-scratch';
  interface Hook {
    readonly path: string;
    readonly args: readonly string[];
  }
  const hooksOf = async (): Promise<Readonly<Record<string, readonly Hook[]>>> =>
    (await readConfig()).hooks as Readonly<Record<string, readonly Hook[]>>;
  /** Runs the hook that a container of `config` is given, after what `during` did in its root. */
  async function runHook(config: unknown, during: () => Promise<unknown>): Promise<void> {
    await writeConfig(config);
    run();
    const [hook] = (await hooksOf()).poststop ?? [];
    await during();
    if (hook !== undefined) spawnSync(hook.path, hook.args.slice(1), { argv0: hook.args[0] ?? '' });
  }
  const leave = async (home: string): Promise<void> => {
    await mkdir(path.join(rootfs, home, '.cache/rosetta'), { recursive: true });
    for (const name of ['a.flu', 'b.flu']) await writeFile(path.join(rootfs, home, '.cache/rosetta', name), 'x');
  };
  const withEnv = (...env: string[]) => ({ ...CONFIG, process: { ...CONFIG.process, env } });

  beforeEach(() => writeFile(at('edits'), editsFile({ mounts: [], env: {}, scratch: ['.cache/rosetta'] })));

  it('is removed by a hook of this very program when the container has ended', async () => {
    await mkdir(path.join(rootfs, 'root'));
    await writeConfig(withEnv('HOME=/root'));
    run();
    const { hooks, ...rest } = await readConfig();
    expect(rest).toEqual(withEnv('HOME=/root'));
    expect(hooks).toEqual({
      poststop: [{ path: shim, args: [command, rootfs, '/root/.cache/rosetta', '/root/.cache'] }],
    });
  });

  it.each([
    ['HOME', withEnv('HOME=/srv/me/'), 'srv/me'],
    ['the last HOME', withEnv('HOME=/x', 'HOME=/srv/me'), 'srv/me'],
    ['passwd, for the user', { ...CONFIG, process: { ...CONFIG.process, user: { uid: 1000, gid: 0 } } }, 'home/u'],
    ['passwd, for root', CONFIG, 'root'],
    ['nothing', { ...CONFIG, process: { ...CONFIG.process, user: { uid: 7 } } }, ''],
  ])('is found by %s', async (_how, config, home) => {
    await mkdir(path.join(rootfs, 'etc'));
    await writeFile(path.join(rootfs, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nu:x:1000:1000:U,,:/home/u:/bin/sh\n');
    await mkdir(path.join(rootfs, home), { recursive: true });
    await runHook(config, () => leave(home));
    expect(await readdir(path.join(rootfs, home))).not.toContain('.cache');
  });

  it('leaves what the image had, and what the program put beside', async () => {
    await mkdir(path.join(rootfs, 'root/.cache/pip'), { recursive: true });
    await runHook(withEnv('HOME=/root'), () => leave('root'));
    expect(await readdir(path.join(rootfs, 'root/.cache'))).toEqual(['pip']);

    await rm(path.join(rootfs, 'root/.cache'), { recursive: true });
    await runHook(withEnv('HOME=/root'), async () => {
      await leave('root');
      await writeFile(path.join(rootfs, 'root/.cache/mine'), 'x');
    });
    expect(await readdir(path.join(rootfs, 'root/.cache'))).toEqual(['mine']);
  });

  it('is not touched when the image has the folder itself', async () => {
    await leave('root');
    await writeConfig(withEnv('HOME=/root'));
    run();
    expect(await readConfig()).toEqual(withEnv('HOME=/root'));
  });

  it('is no trap: a link put in its place leads nowhere', async () => {
    const outside = at('outside');
    await mkdir(path.join(outside, 'rosetta'), { recursive: true });
    for (const name of ['precious', 'rosetta/precious']) await writeFile(path.join(outside, name), 'x');
    await runHook(withEnv('HOME=/root'), async () => {
      await mkdir(path.join(rootfs, 'root/.cache'), { recursive: true });
      await symlink(outside, path.join(rootfs, 'root/.cache/rosetta'));
    });
    await rm(path.join(rootfs, 'root'), { recursive: true });
    await runHook(withEnv('HOME=/root'), async () => {
      await mkdir(path.join(rootfs, 'root'));
      await symlink(outside, path.join(rootfs, 'root/.cache'));
    });
    expect((await readdir(outside, { recursive: true })).sort()).toEqual(['precious', 'rosetta', 'rosetta/precious']);
  });

  describe('is removed by the shim itself where runc waits for the container, as in a step of a build', () => {
    const startRunc = (script: string): Promise<void> =>
      writeFile(at('runc-of-step'), `#!/bin/sh\n${script}`, { mode: 0o755 });
    const home = path.join(rootfs, 'root');
    const step = ['run', '--bundle', bundle, '--keep', 'id'];
    let stepShim: string;
    beforeAll(async () => {
      await mkdir(at('step'));
      stepShim = await compileForHost('runc', at('step'), { EDITS_FILE: at('edits'), RUNC: at('runc-of-step') });
    }, 60_000);
    const leaveBySh = `mkdir -p ${home}/.cache/rosetta && echo x >${home}/.cache/rosetta/a.flu`;

    it.each([
      ['well', 'exit 0', 0],
      ['with a status', 'exit 9', 9],
      ['by a signal', 'kill -TERM $$', 143],
    ])('when it ends %s', async (_how, end, status) => {
      await startRunc(`${leaveBySh}\n${end}\n`);
      await writeConfig(withEnv('HOME=/root'));
      expect(spawnSync(stepShim, step, { stdio: 'ignore' }).status).toBe(status);
      expect(await readdir(home)).toEqual([]);
      expect(await readConfig()).toEqual(withEnv('HOME=/root'));
    });

    it('but by the hook when runc does not wait', async () => {
      await startRunc('exit 0\n');
      await writeConfig(withEnv('HOME=/root'));
      spawnSync(stepShim, ['run', '--detach', '--bundle', bundle, 'id'], { stdio: 'ignore' });
      expect((await hooksOf()).poststop).toHaveLength(1);
    });

    it('and runc does not outlive it', async () => {
      await startRunc(`echo $$ >${at('pid')}.new; mv ${at('pid')}.new ${at('pid')}; sleep 60\n`);
      await writeConfig(withEnv('HOME=/root'));
      const child = spawn(stepShim, step, { stdio: 'ignore' });
      const pid = await vi.waitFor(async () => Number(await readFile(at('pid'), 'utf8')), 5_000);
      child.kill('SIGKILL');
      // Whoever inherits it may be slow to take note of its end (proc_pid_stat(5): state Z).
      const state = () =>
        readFile(`/proc/${pid}/stat`, 'utf8').then(
          (stat) => stat.split(' ')[2] ?? '',
          () => 'X',
        );
      await vi.waitFor(async () => expect(['Z', 'X']).toContain(await state()), 5_000);
    });
  });

  it('many files go too', async () => {
    await runHook(withEnv('HOME=/root'), async () => {
      await leave('root');
      const names = Array.from({ length: 3000 }, (_, i) =>
        path.join(rootfs, `root/.cache/rosetta/${i}-${'x'.repeat(80)}`),
      );
      await Promise.all(names.map((name) => writeFile(name, '')));
    });
    expect(await readdir(path.join(rootfs, 'root'))).toEqual([]);
  });

  it.each([
    ['no member', {}, ['poststop']],
    ['an empty one', { hooks: {} }, ['poststop']],
    ['others', { hooks: { prestart: [{ path: '/p', args: ['p'] }] } }, ['prestart', 'poststop']],
    ['one of the same kind', { hooks: { poststop: [{ path: '/p', args: ['p'] }] } }, ['poststop']],
    ['an empty list', { hooks: { poststop: [] }, z: 1 }, ['poststop']],
  ])('keeps the hooks of a container: %s', async (_what, extra: Readonly<Record<string, unknown>>, kinds) => {
    await writeConfig({ ...extra, ...CONFIG });
    run();
    const { hooks, ...rest } = await readConfig();
    const { hooks: before = {}, ...restBefore }: Config = { ...extra, ...CONFIG };
    expect(rest).toEqual(restBefore);
    expect(Object.keys(hooks as object)).toEqual(kinds);
    const { poststop = [], ...others } = await hooksOf();
    const { poststop: poststopBefore = [], ...othersBefore } = before as typeof others;
    expect(others).toEqual(othersBefore);
    expect(poststop.slice(0, -1)).toEqual(poststopBefore);
    expect(poststop.at(-1)?.args[0]).toBe(command);
    const once = await readConfigText();
    run();
    expect(await readConfigText()).toBe(once);
  });

  it.each([
    ['null', null],
    ['a list', []],
    ['with a poststop of null', { poststop: null }],
  ])('leaves hooks that are %s', async (_what, hooks) => expectUntouched({ ...CONFIG, hooks }));

  it('adds mounts and variables as well, in whatever order they stand', async () => {
    await writeFile(
      at('edits'),
      editsFile({ mounts: [{ path: '/dev/x', readOnly: true }], env: { A: 'b' }, scratch: ['.cache/rosetta'] }),
    );
    const { mounts, process: program, root } = CONFIG;
    for (const config of [
      { hooks: {}, mounts, process: program, root },
      { process: program, hooks: {}, root, mounts },
      { mounts, root, process: program },
    ]) {
      await writeConfig(config);
      run();
      const edited = await readConfig();
      expect(edited.mounts.at(-1)?.destination).toBe('/dev/x');
      expect(edited.process.env.at(-1)).toBe('A=b');
      expect((await hooksOf()).poststop).toHaveLength(1);
    }
  });
});

describe('any configuration', () => {
  it('stays the same but for what is added', async () => {
    const awkward = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('"', '\\', ']', '}', '\\"]}'));
    const value = fc.jsonValue({ maxDepth: 3 });
    const config = fc.record({
      env: fc.array(
        awkward.map((text) => `X=${text}`),
        { maxLength: 4 },
      ),
      destinations: fc.array(
        awkward.map((text) => `/m/${text}`),
        { maxLength: 4 },
      ),
      before: fc.dictionary(fc.constantFrom('a', 'mount', 'annotations', 'q"x'), value),
      after: fc.dictionary(fc.constantFrom('z', 'linux', 'hooks\\'), value),
      space: fc.constantFrom(0, 2, '\t'),
    });
    await fc.assert(
      fc.asyncProperty(config, async ({ env, destinations, before, after, space }) => {
        const given = {
          ...before,
          process: { args: ['/bin/sh'], env },
          root: { path: 'rootfs' },
          mounts: destinations.map((destination) => ({ destination, type: 'bind' })),
          ...after,
        };
        const text = JSON.stringify(given, null, space);
        await writeConfig(text);
        run();
        const edited = await readConfig();
        expect({
          ...edited,
          process: { ...edited.process, env: edited.process.env.slice(0, env.length) },
          mounts: edited.mounts.slice(0, destinations.length),
          // As it was written: JSON has no -0.
        }).toEqual(JSON.parse(text));
        expect(edited.process.env.slice(env.length)).toEqual(['ROSETTA_DISABLE_AOT=1']);
        expect(edited.mounts.slice(destinations.length).map(({ destination }) => destination)).toEqual([
          '/dev/rvm',
          '/dev/rvm-cache',
        ]);
      }),
      { numRuns: 60 },
    );
  });

  it('never makes the shim crash when it is damaged', async () => {
    const text = JSON.stringify(CONFIG);
    const change = fc.record({ at: fc.nat(text.length - 1), length: fc.nat(9), text: fc.string({ maxLength: 9 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 5 }), async (changes) => {
        let damaged = text;
        for (const one of changes) damaged = damaged.slice(0, one.at) + one.text + damaged.slice(one.at + one.length);
        await writeConfig(damaged);
        run();
      }),
      { numRuns: 60 },
    );
  });
});
