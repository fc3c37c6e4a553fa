/** Failures that a translator caused, those that a step caused itself, and what is done about each. */
import { describe, expect, test } from 'vitest';
import type { Health } from '../../../guest/protocol.ts';
import type { DenyAddRequest } from '../../../guest/translation-protocol.ts';
import { suspectTranslator } from '../../../host/build/failure.ts';
import { explainOutput, KNOWN_ERRORS } from '../../../host/build/known-errors.ts';
import { type Condition, type FailedTry, withRetries } from '../../../host/build/retry.ts';
import { HEALTH } from '../cli/stand-in.ts';
import { step } from './messages.ts';

const ended = (status: number, command = '/bin/sh -c make'): string =>
  `process "${command}" did not complete successfully: exit code: ${status}`;

describe('a step that fails by itself', () => {
  test.each([1, 2, 126, 127, 131, 140, 255])('exit status %i', (status) => {
    expect(suspectTranslator(step({ error: ended(status), log: 'a.c:1: error: x\n' }))).toBeNull();
  });

  test('also when an earlier test of it crashed', () => {
    const log = `conftest: Segmentation fault\n${'checking for x... yes\n'.repeat(50)}error: no libfoo\n`;
    expect(suspectTranslator(step({ error: ended(1), log }))).toBeNull();
  });

  test('also when it runs nothing: a COPY of what is not there', () => {
    expect(suspectTranslator(step({ runs: false, error: 'Segmentation fault not found' }))).toBeNull();
  });
});

describe('a step that looks like its translator’s failure', () => {
  test.each([132, 133, 134, 135, 136, 137, 138, 139])('exit status %i', (status) => {
    expect(suspectTranslator(step({ error: ended(status) }))).not.toBeNull();
  });

  test.each([
    'rosetta error: unhandled auxillary vector type 29',
    '12|SIGSEGV @0x10003a (???(/usr/bin/gcc+0x3a)) (x64pc=0x1)',
    '[BOX64] 0x3f00: Unimplemented Opcode 62 F1',
    'qemu: uncaught target signal 11 (Segmentation fault) - core dumped',
    'sh: line 1:    12 Illegal instruction     (core dumped) foo',
    'make: *** [Makefile:3: a.o] Error 139',
  ])('whatever its status: %s', (line) => {
    expect(suspectTranslator(step({ error: ended(2), log: `cc a.c\n${line}\n` }))?.evidence).toContain(
      line.slice(0, 20),
    );
  });

  test('names the program where bash or BuildKit does', () => {
    const log = 'bash: line 1:    12 Segmentation fault      (core dumped) /usr/bin/tool --x\n';
    expect(suspectTranslator(step({ error: ended(139), log }))?.program).toBe('/usr/bin/tool');
    expect(suspectTranslator(step({ error: ended(139, '/usr/bin/tool --x') }))?.program).toBe('/usr/bin/tool');
    expect(suspectTranslator(step({ error: ended(139) }))?.program).toBeNull();
  });
});

describe('known errors', () => {
  test.each([
    ['rosetta error: unhandled auxillary vector type 29', 'rosetta-auxv-hwcap3'],
    ['rosetta error: unhandled auxiliary vector type 28', 'rosetta-auxv-rseq'],
    ['assertion failed [hash_table != nullptr]: Failed to find vdso DT_HASH', 'rosetta-vdso-hash'],
    ['rosetta error: failed to open elf at /lib64/ld-linux-x86-64.so.2', 'foreign-loader'],
    ["qemu-x86_64: Could not open '/lib64/ld-linux-x86-64.so.2': No such file", 'foreign-loader'],
    ['Unable to open /proc/self/exe: 40', 'no-proc'],
    ['Fatal glibc error: CPU does not support x86-64-v3', 'isa-level'],
    ['runtime: lfstack.push invalid packing: node=0xffff', 'qemu-go-pointers'],
    ['futex(FUTEX_LOCK_PI_PRIVATE) failure: 35', 'futex-pi'],
    ['VmTracker attempted to allocate existing mapping', 'rosetta-13-mapping'],
    ['libx.so: cannot enable executable stack as shared object requires', 'rosetta-executable-stack'],
    ['unable to mmap ExecutableHeap: 12', 'address-limit'],
    ['qemu: uncaught target signal 6 (Aborted)', 'qemu-signal'],
    ['exec /bin/sh: exec format error', 'not-executable'],
  ])('%s', (line, id) => {
    expect(explainOutput(`x\n${line}\ny`)?.id).toBe(id);
  });

  test('an ordinary compiler error is none', () => {
    expect(explainOutput('a.c:3:1: error: expected ‘;’ before ‘}’ token')).toBeNull();
  });

  test('each has a sentence of its own, a remedy and a source', () => {
    expect(new Set(KNOWN_ERRORS.map(({ id }) => id)).size).toBe(KNOWN_ERRORS.length);
    for (const { why, fix, source } of KNOWN_ERRORS) {
      expect(why).toMatch(/\.$/);
      expect(fix).toMatch(/\.$/);
      expect(source).not.toBe('');
    }
  });
});

/** A machine that writes down what is switched. */
function machine(health: Partial<Health> = {}, counted = true) {
  const calls: string[] = [];
  const denied: DenyAddRequest[] = [];
  const told: string[] = [];
  const translator = { ...HEALTH.translator, fallbacks: [{ name: 'qemu', version: '10' }] } as const;
  const agent: Parameters<typeof withRetries>[0] = {
    health: async () => ({ ...HEALTH, translator, ...health }),
    cacheHoldOff: async () => {
      calls.push('cache off');
      return { release: async () => void calls.push('cache on') };
    },
    translatorHold: async ({ name }) => {
      calls.push(name);
      return { release: async () => void calls.push('box64') };
    },
    denyAdd: async (request) => {
      denied.push(request);
      return { rows: [] };
    },
    execCounts: async () => ({ counted, translators: [] }),
  };
  return { agent, calls, denied, told, options: { tell: (text: string) => void told.push(text) } };
}

const crashed = (condition: Condition, program: string | null = '/usr/bin/tool'): FailedTry => ({
  condition,
  step: step({ error: ended(139) }),
  suspicion: { evidence: 'exit status 139', program },
});

describe('trying again', () => {
  test('is not done when the step failed by itself', async () => {
    const { agent, calls, options } = machine();
    const failed = await withRetries(agent, async (condition) => ({ ...crashed(condition), suspicion: null }), options);
    expect(failed?.condition).toEqual({ cache: true, translator: null });
    expect(calls).toEqual([]);
  });

  test('without the cache helps: the program is kept from it, and the cache is on again', async () => {
    const { agent, calls, denied, told, options } = machine();
    const attempt = async (condition: Condition) => (condition.cache ? crashed(condition) : null);
    expect(await withRetries(agent, attempt, options)).toBeNull();
    expect(calls).toEqual(['cache off', 'cache on']);
    expect(denied).toMatchObject([{ program: '/usr/bin/tool', from: 'cache' }]);
    expect(told.join()).toContain('without the translation cache');
  });

  test('does not promise what the deny list cannot keep where no router reads it', async () => {
    const { agent, denied, told, options } = machine({}, false);
    await withRetries(agent, async (condition) => (condition.cache ? crashed(condition) : null), options);
    expect(denied).toHaveLength(1);
    expect(told.at(-1)).toContain('router: true');
  });

  test('with the next translator helps: the program is kept from the first, and all is as before', async () => {
    const { agent, calls, denied, options } = machine();
    const attempt = async (condition: Condition) => (condition.translator === 'qemu' ? null : crashed(condition));
    expect(await withRetries(agent, attempt, options)).toBeNull();
    expect(calls).toEqual(['cache off', 'qemu', 'box64', 'cache on']);
    expect(denied).toMatchObject([{ program: '/usr/bin/tool', from: 'box64' }]);
  });

  test('helps with a program that is not known: the step is named and nothing is denied', async () => {
    const { agent, denied, told, options } = machine();
    await withRetries(agent, async (condition) => (condition.cache ? crashed(condition, null) : null), options);
    expect(denied).toEqual([]);
    expect(told.at(-1)).toContain('[2/2] RUN make');
  });

  test('in vain ends with the last failure, and all is as before', async () => {
    const { agent, calls, options } = machine();
    const failed = await withRetries(agent, async (condition) => crashed(condition), options);
    expect(failed?.condition).toEqual({ cache: false, translator: 'qemu' });
    expect(calls).toEqual(['cache off', 'qemu', 'box64', 'cache on']);
  });

  test('that is interrupted leaves all as before', async () => {
    const { agent, calls, options } = machine();
    const attempt = async (condition: Condition) => {
      if (!condition.cache) throw new Error('interrupted');
      return crashed(condition);
    };
    await expect(withRetries(agent, attempt, options)).rejects.toThrow('interrupted');
    expect(calls).toEqual(['cache off', 'cache on']);
  });

  test('with a cache that is off and no other translator is not possible', async () => {
    const { agent, calls, options } = machine({
      cache: { backend: 'dynacache', state: 'off' },
      translator: HEALTH.translator,
    });
    expect(await withRetries(agent, async (condition) => crashed(condition), options)).not.toBeNull();
    expect(calls).toEqual([]);
  });
});
