/** What the runc shim does about files that a translator leaves in a container's home, on real bundles. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { editsFile } from '../../../guest/engine/edits.ts';
import { compileForHost } from './support/compile.ts';
import { CONFIG, type Config, runcBundle } from './support/runc-bundle.ts';

const runc = runcBundle();
const { at, bundle, writeConfig, readConfig, readConfigText, run, expectUntouched } = runc;

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
      poststop: [
        {
          path: runc.shim,
          args: [command, rootfs, expect.stringMatching(/^@\d+ \d{1,9}$/), '/root/.cache/rosetta', '/root/.cache'],
        },
      ],
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
    const startRuntime = (script: string): Promise<void> =>
      writeFile(at('runtime-of-step'), `#!/bin/sh\n${script}`, { mode: 0o755 });
    const home = path.join(rootfs, 'root');
    const step = ['run', '--bundle', bundle, '--keep', 'id'];
    let stepShim: string;
    beforeAll(async () => {
      await mkdir(at('step'));
      stepShim = await compileForHost('runc', at('step'), {
        EDITS_FILE: at('edits'),
        CRUN: at('runtime-of-step'),
        RUNC: at('none'),
      });
    }, 60_000);
    /** A time of the image, ms. */
    const EARLIER = 1_700_000_000_500;
    const leaveBySh = `mkdir -p ${home}/.cache/rosetta && echo x >${home}/.cache/rosetta/a.flu`;

    it.each([
      ['well', 'exit 0', 0],
      ['with a status', 'exit 9', 9],
      ['by a signal', 'kill -TERM $$', 143],
    ])('when it ends %s', async (_how, end, status) => {
      await startRuntime(`${leaveBySh}\n${end}\n`);
      await writeConfig(withEnv('HOME=/root'));
      expect(spawnSync(stepShim, step, { stdio: 'ignore' }).status).toBe(status);
      expect(await readdir(home)).toEqual([]);
      expect(await readConfig()).toEqual(withEnv('HOME=/root'));
    });

    it.each([
      ['back, where nothing else happened there', leaveBySh, EARLIER],
      ['of what the program did there later', `${leaveBySh}; sleep 0.1; echo x >${home}/mine`, null],
      ['that the program gave it', `${leaveBySh}; touch -d @1000 ${home}`, 1_000_000],
    ])('and its folder has the time %s', async (_what, script, expected) => {
      await mkdir(path.join(home, 'old'), { recursive: true });
      await utimes(home, EARLIER / 1000, EARLIER / 1000);
      const started = Date.now();
      await startRuntime(script);
      await writeConfig(withEnv('HOME=/root'));
      spawnSync(stepShim, step, { stdio: 'ignore' });
      expect(await readdir(home)).not.toContain('.cache');
      const { mtimeMs, ctimeMs } = await stat(home);
      if (expected !== null) expect(mtimeMs).toBe(expected);
      // The removal came after it.
      else expect([mtimeMs > started - 1000, mtimeMs < ctimeMs]).toEqual([true, true]);
    });

    it('but by the hook when runc does not wait', async () => {
      await startRuntime('exit 0\n');
      await writeConfig(withEnv('HOME=/root'));
      spawnSync(stepShim, ['run', '--detach', '--bundle', bundle, 'id'], { stdio: 'ignore' });
      expect((await hooksOf()).poststop).toHaveLength(1);
    });

    it('and runc does not outlive it', async () => {
      await startRuntime(`echo $$ >${at('pid')}.new; mv ${at('pid')}.new ${at('pid')}; sleep 60\n`);
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
