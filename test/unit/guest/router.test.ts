/** Which translator the router starts for a program, and how; that it starts one whatever it is given. */
import { spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { json } from 'node:stream/consumers';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { type DenyRow, MAX_DENY_ROWS } from '../../../guest/translation-protocol.ts';
import { readExecCounts } from '../../../guest/translators/exec-counts.ts';
import { routedRosetta } from '../../../guest/translators/rosetta.ts';
import { type RoutedTranslator, routerTable } from '../../../guest/translators/router-table.ts';
import { BUILD_ID, compiledRouter, GLIBC, STAND_IN, type Started } from './support/compiled-router.ts';
import { type ElfParts, elfFile } from './support/elf.ts';

const compiled = compiledRouter();
const { at, folder, translators, run, counts } = compiled;

/** Writes a program and runs it; resolves to the translator that got it. */
async function translatorOf(parts: ElfParts | Buffer, env: Record<string, string> = {}): Promise<string> {
  await writeFile(at('program'), Buffer.isBuffer(parts) ? parts : elfFile(parts), { mode: 0o755 });
  return (await run([at('program')], env)).translator;
}

const deny = (...rows: Partial<DenyRow>[]): Promise<void> =>
  writeFile(
    at('table'),
    routerTable(
      translators,
      rows.map((row) => ({ from: 'box64', reason: 'test', addedMs: 1, ...row })),
    ),
  );

/** Segments of Debian's nodejs 20.19 for amd64, of a program as older linkers made it, and of one of today's. */
const NODE = [
  [0, 0x7d8, 0x1000],
  [0x1000, 0x300d, 0x2000],
  [0x5000, 0x110, 0x1000],
] as const;
const APART = [
  [0x400000, 0x1000f4, 0x200000],
  [0x600e10, 0x230, 0x200000],
] as const;
const PAGES = [
  [0, 0x7d8, 0x1000],
  [0x1000, 0x300d, 0x1000],
  [0x4d98, 0x278, 0x1000],
] as const;

describe('the router chooses', () => {
  it.each<[string, ElfParts, string]>([
    ['a program of glibc', { interpreter: GLIBC }, 'box64'],
    ['a program of musl', { interpreter: '/lib/ld-musl-x86_64.so.1' }, 'qemu-x86_64'],
    ['a program of another C library', { interpreter: '/libexec/ld.so' }, 'qemu-x86_64'],
    ['a static program', {}, 'qemu-x86_64'],
    ['one that needs x86-64-v3', { interpreter: GLIBC, isaNeeded: 0b0111 }, 'box64'],
    ['one that needs more than any translator has', { interpreter: GLIBC, isaNeeded: 0b1000 }, 'box64'],
    [
      'one with a segment that box64 would map over another, as Debian’s node',
      { interpreter: GLIBC, loads: NODE },
      'qemu-x86_64',
    ],
    ['one whose large alignment begins after the segment before', { interpreter: GLIBC, loads: APART }, 'box64'],
    ['one whose segments are aligned to pages', { interpreter: GLIBC, loads: PAGES }, 'box64'],
  ])('for %s', async (_what, parts, expected) => {
    expect(await translatorOf(parts)).toBe(expected);
  });

  it('the next translator where the first lacks an instruction set', async () => {
    const [first, second] = translators;
    if (first === undefined || second === undefined) throw new Error('two translators');
    const weak = { ...first, start: { ...first.start, isaLevel: 2 } };
    await writeFile(at('table'), routerTable([weak, second], []));
    expect(await translatorOf({ interpreter: GLIBC, isaNeeded: 0b0011 })).toBe('box64');
    expect(await translatorOf({ interpreter: GLIBC, isaNeeded: 0b0111 })).toBe('qemu-x86_64');
  });

  it('a translator that takes the path alone, and tells what is kept from its cache', async () => {
    const { start } = routedRosetta;
    if (start.by !== 'router') throw new Error('Rosetta can be routed.');
    const first: RoutedTranslator = { name: 'rosetta', program: at('box64'), start, env: {} };
    const program = elfFile({ interpreter: GLIBC });
    await writeFile(at('program'), program, { mode: 0o755 });
    await writeFile(at('table'), routerTable([first], []));
    const plain = await run([at('program'), '-0', 'x']);
    expect(plain.args).toEqual([at('program'), '-0', 'x']);
    expect(plain.env.ROSETTA_DISABLE_AOT).toBeUndefined();
    const row = { from: 'cache', program: at('program'), reason: 'test', addedMs: 1 } as const;
    await writeFile(at('table'), routerTable([first], [row]));
    expect((await run([at('program')])).env.ROSETTA_DISABLE_AOT).toBe('1');
  });

  it('the one that ROSETTA_VM_TRANSLATOR names, and the default when nobody has that name', async () => {
    expect(await translatorOf({ interpreter: GLIBC }, { ROSETTA_VM_TRANSLATOR: 'qemu' })).toBe('qemu-x86_64');
    expect(await translatorOf({}, { ROSETTA_VM_TRANSLATOR: 'box64' })).toBe('box64');
    expect(await translatorOf({ interpreter: GLIBC }, { ROSETTA_VM_TRANSLATOR: 'fex' })).toBe('box64');
  });

  it('by the deny list: path, build-id, or both', async () => {
    const program = { interpreter: GLIBC, buildId: BUILD_ID };
    const buildId = BUILD_ID.toString('hex');
    const chosenWith = async (row: Partial<DenyRow>): Promise<string> => {
      await deny(row);
      return translatorOf(program);
    };
    expect(await chosenWith({ program: at('program') })).toBe('qemu-x86_64');
    expect(await chosenWith({ buildId })).toBe('qemu-x86_64');
    expect(await chosenWith({ program: at('program'), buildId })).toBe('qemu-x86_64');
    expect(await chosenWith({ program: '/elsewhere', buildId })).toBe('box64');
    expect(await chosenWith({ buildId: 'ff'.repeat(20) })).toBe('box64');
  });

  it('the first after all when every translator is denied', async () => {
    await deny({ program: at('program') }, { program: at('program'), from: 'qemu' });
    expect(await translatorOf({ interpreter: GLIBC })).toBe('box64');
  });

  it('the next one for what a translator is known to fail with, and the list has room beside it', async () => {
    const [box, second] = translators as readonly [RoutedTranslator, RoutedTranslator];
    const failing = {
      ...box,
      start: { ...box.start, failsWith: [...Array(7).keys()].map(String).concat(at('program')) },
    };
    const full = Array.from({ length: MAX_DENY_ROWS - 1 }, (_, index) => `/full/${index}`).concat(at('listed'));
    const rows = full.map((program): DenyRow => ({ program, from: 'cache', reason: '', addedMs: 1 }));
    await writeFile(at('table'), routerTable([failing, second], rows));
    expect(await translatorOf({ interpreter: GLIBC })).toBe('qemu-x86_64');
    await writeFile(at('listed'), elfFile({ interpreter: GLIBC }), { mode: 0o755 });
    expect(await run([at('listed')])).toMatchObject({ translator: 'box64', env: { BOX64_DYNACACHE: '0' } });
  });

  it('and counts each start with its reason', async () => {
    await translatorOf({ interpreter: GLIBC });
    await translatorOf({ interpreter: GLIBC });
    await translatorOf({});
    await translatorOf({ interpreter: GLIBC, loads: NODE });
    await translatorOf({ interpreter: GLIBC }, { ROSETTA_VM_TRANSLATOR: 'qemu' });
    expect(await counts()).toEqual({ box64: { default: 2 }, qemu: { libc: 1, layout: 1, environment: 1 } });
  });

  it('without a page to count in, or with one that was cut, just as well', async () => {
    await truncate(at('counters'), 100);
    expect(await translatorOf({ interpreter: GLIBC })).toBe('box64');
    await rm(at('counters'));
    expect(await translatorOf({})).toBe('qemu-x86_64');
    expect(await readExecCounts(at('counters'), ['box64'])).toEqual({ counted: false, translators: [] });
  });
});

describe('the router starts', () => {
  beforeEach(() => writeFile(at('program'), elfFile({ interpreter: GLIBC }), { mode: 0o755 }));

  it('box64 with the program and its arguments as they were', async () => {
    const args = ['a', '', '--version', 'b c', '-0'];
    expect((await run([at('program'), ...args])).args).toEqual([at('program'), ...args]);
  });

  it('qemu with argv[0] as an option, taken from where box64 left it', async () => {
    await writeFile(at('program'), elfFile({}));
    expect((await run([at('program'), 'a'])).args).toEqual(['-0', at('program'), at('program'), 'a']);
    const { args } = await run([at('program'), 'a'], { BOX64_ARG0: '-sh' });
    expect(args).toEqual(['-0', '-sh', at('program'), 'a']);
  });

  it('box64 with a new argv[0], but not with the one of the program that starts it', async () => {
    const first = await run([at('program')], { BOX64_ARG0: '-sh' });
    expect(first.env.BOX64_ARG0).toBe('-sh');
    const child = await run([at('program')], first.env);
    expect(child.env.BOX64_ARG0).toBeUndefined();
    expect((await run([at('program')], { ...first.env, BOX64_ARG0: 'other' })).env.BOX64_ARG0).toBe('other');
  });

  it('with the translator’s variables where they are absent, even in an empty environment', async () => {
    expect((await run([at('program')])).env).toMatchObject({ BOX64_LOG: '0', BOX64_DYNACACHE: '1' });
    const { env } = await run([at('program')], { BOX64_LOG: '2', HOME: '/root' });
    expect(env).toMatchObject({ BOX64_LOG: '2', BOX64_DYNACACHE: '1', HOME: '/root' });
    await writeFile(at('program'), elfFile({}));
    expect(Object.keys((await run([at('program')])).env).filter((name) => name.startsWith('BOX64'))).toEqual([]);
  });

  it('a program that is kept from the cache without it, and what that starts with it again', async () => {
    await deny({ program: at('program'), from: 'cache' });
    const denied = await run([at('program')], { BOX64_DYNACACHE: '1' });
    expect(denied).toMatchObject({ translator: 'box64', env: { BOX64_DYNACACHE: '0', BOX64_LOG: '0' } });
    await writeFile(at('child'), elfFile({ interpreter: GLIBC }));
    const { env } = await run([at('child')], denied.env);
    expect(env.BOX64_DYNACACHE).toBe('1');
    expect(Object.keys(env).filter((name) => name.startsWith('ROSETTA_VM'))).toEqual([]);
  });

  it('the next translator when the chosen one cannot be started', async () => {
    await chmod(at('box64'), 0o644);
    expect(await run([at('program')])).toMatchObject({ translator: 'qemu-x86_64' });
    await chmod(at('box64'), 0o755);
    expect(await counts()).toEqual({ box64: { default: 1 }, qemu: { failed: 1 } });
  });

  it('box64 itself for options, which box64 asks for in place of uname', async () => {
    expect((await run(['-m'])).args).toEqual(['-m']);
  });

  it('a program whose name looks like an option', async () => {
    await mkdir(at('odd'), { recursive: true });
    await writeFile(at('odd/-program'), elfFile({}), { mode: 0o755 });
    const child = spawn(compiled.router, ['./-program'], { cwd: at('odd'), stdio: ['ignore', 'pipe', 'inherit'] });
    expect(((await json(child.stdout)) as Started).args).toEqual(['-0', './-program', './-program']);
  });

  it('through the kernel what only the kernel can start: a set-uid program', async () => {
    // On this host the kernel starts the script itself, so the answer comes without a translator.
    await writeFile(at('set-uid'), STAND_IN);
    await chmod(at('set-uid'), 0o4755);
    expect(await run([at('set-uid'), 'a'])).toMatchObject({ translator: 'set-uid', args: ['a'] });
    expect(await counts()).toEqual({ box64: {}, qemu: {} });
  });
});

describe('the router never fails an exec', () => {
  const intact = routerTable(translators, [{ program: '/bin/x', from: 'qemu', reason: '', addedMs: 1 }]);

  it.each([
    ['is missing', undefined],
    ['is empty', ''],
    ['was cut', intact.slice(0, -5)],
    ['has more after its end', `${intact}more\n`],
    ['has NUL bytes', intact.replace('glibc', 'gl\0bc')],
    ['is of another version', intact.replace('router 1', 'router 2')],
    ['names no translator', 'rosetta-vm-router 1\nend\n'],
    ['is larger than it may be', `${'#'.repeat(200_000)}\n${intact}`],
  ])('when its table %s: the built-in one counts', async (_how, table) => {
    await rm(at('table'));
    if (table !== undefined) await writeFile(at('table'), table);
    await writeFile(at('program'), elfFile({ interpreter: GLIBC }));
    const { translator, env } = await run([at('program')]);
    expect(translator).toBe('box64');
    // Without it box64 starts programs without end.
    expect(env.BOX64_SYSINFO_CACHED).toBe('1');
    expect(env.BOX64_DYNACACHE).toBeUndefined();
  });

  it('over lines that it does not know', async () => {
    await writeFile(at('table'), intact.replace('end\n', 'native 0123 /dev/rvm/native/cc1\nend\n'));
    await writeFile(at('program'), elfFile({ interpreter: GLIBC }));
    expect((await run([at('program')])).env.BOX64_DYNACACHE).toBe('1');
  });

  it('whatever is in the table', async () => {
    await writeFile(at('program'), elfFile({ interpreter: GLIBC }));
    const change = fc.record({ at: fc.nat(intact.length - 1), length: fc.nat(20), text: fc.string({ maxLength: 12 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        let table = intact.replaceAll(folder, '/none');
        for (const one of changes) table = table.slice(0, one.at) + one.text + table.slice(one.at + one.length);
        await writeFile(at('table'), table);
        // A table that still counts names translators that are not there: then it says so, and never crashes.
        const outcome = await ending([at('program')]);
        expect([0, 126]).toContain(outcome);
      }),
      { numRuns: 40 },
    );
  });

  it('whatever is in the program', async () => {
    const whole = elfFile({ interpreter: GLIBC, buildId: BUILD_ID, isaNeeded: 3 });
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(whole.length), async (changes, cut) => {
        const bytes = Buffer.from(whole);
        for (const [offset, value] of changes) bytes[offset] = value;
        await writeFile(at('program'), bytes.subarray(0, cut < 20 ? cut : bytes.length));
        expect(await ending([at('program')])).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('where there is no folder of translators: the one behind the router’s own bytes runs', async () => {
    const echo = await readFile('/bin/echo');
    const end = Buffer.alloc(16);
    end.writeBigUInt64LE(BigInt(echo.length));
    end.write('RVMQEMU1', 8);
    await writeFile(at('embedding'), Buffer.concat([await readFile(compiled.router), echo, end]), { mode: 0o755 });
    await writeFile(at('table'), intact.replaceAll(folder, '/none'));
    const { stdout } = spawnSync(at('embedding'), [at('program'), 'a b'], { encoding: 'utf8' });
    expect(stdout).toBe(`-0 ${at('program')} ${at('program')} a b\n`);
  });

  it('and says so when there is nothing to start', async () => {
    await writeFile(at('table'), intact.replaceAll(folder, '/none'));
    expect(await ending([at('program')])).toBe(126);
    expect(await ending([])).toBe(2);
  });

  function ending(args: readonly string[]): Promise<number | null> {
    const child = spawn(compiled.router, args, { env: {}, stdio: 'ignore' });
    return new Promise((resolve) => child.once('exit', resolve));
  }
});

describe('the router’s table', () => {
  it('is what guest/router/table.c reads', async () => {
    expect(routerTable(translators, [{ program: '/bin/a b', from: 'cache', reason: 'x', addedMs: 1 }])).toBe(
      [
        'rosetta-vm-router 1',
        `translator box64 0 box64 glibc 3 ${at('box64')}`,
        `translator qemu 1 qemu any 3 ${at('qemu-x86_64')}`,
        'env box64 BOX64_LOG=0',
        'env box64 BOX64_DYNACACHE=1',
        'env box64 BOX64_DYNACACHE_FOLDER=/dev/rvm-cache',
        'without-cache box64 BOX64_DYNACACHE=0',
        ...['/usr/bin/make', '/usr/bin/gmake', '/usr/local/bin/make', '/usr/local/bin/gmake'].map(
          (make) => `deny box64 - ${make}`,
        ),
        'deny cache - /bin/a b',
        'end',
        '',
      ].join('\n'),
    );
    expect(await readFile(at('table'), 'utf8')).toBe(routerTable(translators, []));
  });
});
