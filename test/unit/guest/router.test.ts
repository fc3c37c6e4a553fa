/** The router itself, compiled for this host: box64 starts it as `router PROGRAM ARGUMENT…`, and so do these tests. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DenyRow, TranslatorName } from '../../../guest/protocol.ts';
import { box64 } from '../../../guest/translators/box64.ts';
import {
  COUNTER_BYTES,
  forgetPrograms,
  keepPrograms,
  readExecCounts,
  recallPrograms,
} from '../../../guest/translators/exec-counts.ts';
import { qemu } from '../../../guest/translators/qemu.ts';
import { routedRosetta } from '../../../guest/translators/rosetta.ts';
import { type RoutedTranslator, routerTable } from '../../../guest/translators/router-table.ts';
import { compileForHost } from './support/compile.ts';
import { type ElfParts, elfFile } from './support/elf.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rvm-router-'));
const at = (name: string): string => path.join(folder, name);
const GLIBC = '/lib64/ld-linux-x86-64.so.2';
const BUILD_ID = Buffer.from('0123456789abcdef0123456789abcdef01234567', 'hex');
let router: string;

beforeAll(async () => {
  router = await compileForHost('router', folder, { RVM_DIR: folder });
  for (const name of ['box64', 'qemu-x86_64']) await writeFile(at(name), STAND_IN, { mode: 0o755 });
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  await writeFile(at('counters'), Buffer.alloc(COUNTER_BYTES));
  await writeFile(at('table'), routerTable(translators, []));
});

/** A translator that tells how it was started. A script sees its own path as the first argument, not its argv[0]. */
const STAND_IN = `#!${process.execPath}
console.log(JSON.stringify({ translator: process.argv[1], args: process.argv.slice(2), env: process.env }));
`;

function routed(name: TranslatorName, program: string, env: Record<string, string> = {}): RoutedTranslator {
  const { start } = name === 'box64' ? box64 : qemu;
  if (start.by !== 'router') throw new Error(`${name} is routed.`);
  return { name, program, start, env };
}
const translators = [
  routed('box64', at('box64'), { BOX64_LOG: '0', BOX64_DYNACACHE: '1', BOX64_DYNACACHE_FOLDER: '/dev/rvm-cache' }),
  routed('qemu', at('qemu-x86_64')),
];

interface Started {
  readonly translator: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Started> {
  const child = spawn(router, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const started = (await json(child.stdout)) as Started;
  return { ...started, translator: path.basename(started.translator) };
}

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

async function counts(): Promise<Record<string, object>> {
  const { translators: rows } = await readExecCounts(at('counters'), ['box64', 'qemu']);
  return Object.fromEntries(
    rows.map(({ name, reasons }) => [name, Object.fromEntries(Object.entries(reasons).filter(([, n]) => n > 0))]),
  );
}

describe('the router chooses', () => {
  it.each<[string, ElfParts, string]>([
    ['a program of glibc', { interpreter: GLIBC }, 'box64'],
    ['a program of musl', { interpreter: '/lib/ld-musl-x86_64.so.1' }, 'qemu-x86_64'],
    ['a program of another C library', { interpreter: '/libexec/ld.so' }, 'qemu-x86_64'],
    ['a static program', {}, 'qemu-x86_64'],
    ['one that needs x86-64-v3', { interpreter: GLIBC, isaNeeded: 0b0111 }, 'box64'],
    ['one that needs more than any translator has', { interpreter: GLIBC, isaNeeded: 0b1000 }, 'box64'],
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

  it('and counts each start with its reason', async () => {
    await translatorOf({ interpreter: GLIBC });
    await translatorOf({ interpreter: GLIBC });
    await translatorOf({});
    await translatorOf({ interpreter: GLIBC }, { ROSETTA_VM_TRANSLATOR: 'qemu' });
    expect(await counts()).toEqual({ box64: { default: 2 }, qemu: { libc: 1, environment: 1 } });
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

  describe('a program that has run a few times', () => {
    const settles = { ...translators[0], settledEnv: { BOX64_DYNACACHE: '2' } } as RoutedTranslator;
    const cacheOf = async (program: string, env: Record<string, string> = {}): Promise<string | undefined> =>
      (await run([at(program)], env)).env.BOX64_DYNACACHE;
    const starts = async (count: number, program = 'program', env: Record<string, string> = {}) => {
      const values: (string | undefined)[] = [];
      for (let i = 0; i < count; i += 1) values.push(await cacheOf(program, env));
      return values.join('');
    };
    beforeEach(async () => {
      for (const name of ['program', 'other']) {
        await writeFile(at(name), elfFile({ interpreter: GLIBC }), { mode: 0o755 });
      }
      await writeFile(at('table'), routerTable([settles, ...translators.slice(1)], []));
    });

    it('only reads the cache, three times in four, in place of the value that all get', async () => {
      expect(await starts(9)).toBe('112212221');
    });

    it('is told by its path and its build', async () => {
      await starts(2);
      expect(await starts(2, 'other')).toBe('11');
      await writeFile(at('program'), elfFile({ interpreter: GLIBC, buildId: BUILD_ID }), { mode: 0o755 });
      expect(await starts(3)).toBe('112');
    });

    it('does not pass that on to what it starts, takes it over what that was given, and leaves a user’s wish', async () => {
      expect(await cacheOf('program', { BOX64_DYNACACHE: '2' })).toBe('1');
      expect(await starts(2, 'program', { BOX64_DYNACACHE: '1' })).toBe('12');
      expect(await cacheOf('program', { BOX64_DYNACACHE: '0' })).toBe('0');
    });

    it('is a new one when the cache was emptied', async () => {
      await starts(3);
      const before = await counts();
      await forgetPrograms(at('counters'), at('kept'));
      expect(await starts(3)).toBe('112');
      expect(Object.keys(await counts())).toEqual(Object.keys(before));
    });

    describe('after a reboot', () => {
      const reboot = () => writeFile(at('counters'), Buffer.alloc(COUNTER_BYTES));
      beforeEach(async () => {
        await starts(2);
        await keepPrograms(at('counters'), at('kept'), 'box64=build');
        await reboot();
      });

      it('is one still, and what ran meanwhile keeps its own count', async () => {
        await starts(2, 'other');
        expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(1);
        expect(await starts(3)).toBe('221');
        expect(await starts(1, 'other')).toBe('2');
        expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(0);
      });

      it('is a new one to other translators, and where what was kept is cut or gone', async () => {
        expect(await recallPrograms(at('counters'), at('kept'), 'box64=other')).toBe(0);
        await truncate(at('kept'), 1000);
        expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(0);
        await rm(at('kept'));
        expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(0);
        expect(await starts(2)).toBe('11');
      });

      it('is a new one when the cache was emptied before', async () => {
        await forgetPrograms(at('counters'), at('kept'));
        expect(await recallPrograms(at('counters'), at('kept'), 'box64=build')).toBe(0);
      });
    });

    it('is not counted while nothing is kept', async () => {
      await writeFile(at('table'), routerTable(translators, []));
      await starts(3);
      await writeFile(at('table'), routerTable([settles, ...translators.slice(1)], []));
      expect(await starts(2)).toBe('11');
    });

    it('writes where nobody can count', async () => {
      await truncate(at('counters'), 4096);
      expect(await starts(4)).toBe('1111');
      expect(await counts()).toMatchObject({ box64: { default: 4 } });
    });

    it('is kept from the cache where the deny list says so', async () => {
      await starts(2);
      const row = { from: 'cache', program: at('program'), reason: 'test', addedMs: 1 } as const;
      await writeFile(at('table'), routerTable([settles], [row]));
      expect(await cacheOf('program')).toBe('0');
    });
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
    const child = spawn(router, ['./-program'], { cwd: at('odd'), stdio: ['ignore', 'pipe', 'inherit'] });
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
    await writeFile(at('embedding'), Buffer.concat([await readFile(router), echo, end]), { mode: 0o755 });
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
    const child = spawn(router, args, { env: {}, stdio: 'ignore' });
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
        'deny cache - /bin/a b',
        'end',
        '',
      ].join('\n'),
    );
    expect(await readFile(at('table'), 'utf8')).toBe(routerTable(translators, []));
  });
});
