/** What the runc shim makes of a container's configuration, on real bundles. */
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { damaged } from './support/damaged.ts';
import { elfFile } from './support/elf.ts';
import { CONFIG, runcBundle } from './support/runc-bundle.ts';

const EM_AARCH64 = 183;
const { at, bundle, runtime, program, writeConfig, readConfig, readConfigText, run, expectUntouched } = runcBundle();

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

  it.each(['crun', 'runc'] as const)('hands everything to %s as it was, to runc only without crun', async (name) => {
    await runtime('runc');
    if (name === 'runc') await rm(at('runtime/crun'));
    await writeConfig(CONFIG);
    run(['--log', '', 'run', '--bundle', bundle, '--keep', 'a b']);
    expect(await readFile(at('called'), 'utf8')).toBe(`${name}\n--log\n\nrun\n--bundle\n${bundle}\n--keep\na b\n`);
    expect((await readConfig()).mounts).toHaveLength(4);
    await runtime('crun');
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
    await fc.assert(
      fc.asyncProperty(damaged(JSON.stringify(CONFIG), 5), async (text) => {
        await writeConfig(text);
        run();
      }),
      { numRuns: 60 },
    );
  });
});
