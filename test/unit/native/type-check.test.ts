import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NATIVE, sources, typeCheck } from './type-check.ts';

/** clang takes a second for each file, more while other tests run. */
const LIMIT = 240_000;

describe('the addon’s sources', () => {
  it(
    'have no type error and no warning in an arm64 process',
    async () => {
      const files = await sources();
      expect(files.length).toBeGreaterThan(10);
      expect(await typeCheck(files, 'arm64')).toEqual({ ok: true, output: '' });
    },
    LIMIT,
  );

  it(
    'have none in an x86_64 process, where some code is left out',
    async () => {
      const files = await sources();
      const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
      const differing = files.filter((_, at) => texts[at]?.includes('__arm64__'));
      expect(differing.length).toBeGreaterThan(1);
      expect(await typeCheck(differing, 'x86_64')).toEqual({ ok: true, output: '' });
    },
    LIMIT,
  );

  it('are all in binding.gyp, and every header is included by one of them', async () => {
    const gyp = await readFile(path.join(NATIVE, 'binding.gyp'), 'utf8');
    const files = await sources();
    const listed = [...gyp.matchAll(/"src\/([^"]+)"/g)].map((match) => match[1]);
    expect(listed).toEqual(files.map((file) => path.basename(file)));
    const text = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
    const headers = (await readdir(path.join(NATIVE, 'src'))).filter((name) => name.endsWith('.h'));
    expect(headers.filter((header) => !text.includes(`#include "${header}"`))).toEqual([]);
  });
});

/** Each row is a statement that a Mac's compiler would refuse, and words of clang's refusal. */
const BAD: readonly (readonly [name: string, body: string, words: string])[] = [
  ['a selector that is not there', '[machine startWithHandler:^(NSError *) {}];', 'startWithHandler:'],
  ['a property that is not there', 'machine.states;', "property 'states' not found"],
  [
    'a constant of the other synchronization enumeration',
    '[[VZDiskImageStorageDeviceAttachment alloc] initWithURL:url readOnly:NO cachingMode:VZDiskImageCachingModeCached synchronizationMode:VZDiskSynchronizationModeFull error:&error];',
    "cannot initialize a parameter of type 'VZDiskImageSynchronizationMode'",
  ],
  [
    'a number for an enumeration',
    '[[VZDiskImageStorageDeviceAttachment alloc] initWithURL:url readOnly:NO cachingMode:2 synchronizationMode:VZDiskImageSynchronizationModeFsync error:&error];',
    "cannot initialize a parameter of type 'VZDiskImageCachingMode'",
  ],
  ['a device of another kind', 'configuration.platform = machine;', 'incompatible pointer types'],
  [
    'a completion handler of another shape',
    '[machine stopWithCompletionHandler:^(int) {}];',
    "cannot initialize a parameter of type 'void (^ _Nonnull)(NSError",
  ],
  ['an initialiser that the class forbids', '[[VZBootLoader alloc] init];', "'init' is unavailable"],
  ['a machine without a queue', '[[VZVirtualMachine alloc] initWithConfiguration:configuration];', 'selector'],
  ['a release by hand', '[machine release];', 'ARC forbids explicit message send'],
  ['a cast without a bridge', '(void)(void *)machine;', 'requires a bridged cast'],
  [
    'a class of macOS 14 without @available',
    '[VZNVMExpressControllerDeviceConfiguration class];',
    'only available on macOS 14.0 or newer',
  ],
  [
    'a method of macOS 14 without @available',
    '[machine saveMachineStateToURL:url completionHandler:^(NSError *) {}];',
    'only available on macOS 14.0 or newer',
  ],
];

/** One line before the statements of {@link program}. */
const FIRST_LINE = 4;

function program(statements: readonly string[]): string {
  return [
    '#import <Virtualization/Virtualization.h>',
    'void look(VZVirtualMachine *machine, VZVirtualMachineConfiguration *configuration, NSURL *url, NSError *error);',
    'void look(VZVirtualMachine *machine, VZVirtualMachineConfiguration *configuration, NSURL *url, NSError *error) {',
    ...statements,
    '}',
    '',
  ].join('\n');
}

describe('the check refuses', () => {
  let folder: string;
  let output: string;

  async function check(name: string, statements: readonly string[], architecture: 'arm64' | 'x86_64') {
    const file = path.join(folder, name);
    await writeFile(file, program(statements));
    return await typeCheck([file], architecture);
  }

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'rosetta-vm-bad-'));
    const statements = BAD.map(([, body]) => body);
    ({ output } = await check('bad.mm', statements, 'arm64'));
  }, LIMIT);
  afterAll(() => rm(folder, { recursive: true }));

  it.each(BAD.map((row, at) => [...row, FIRST_LINE + at] as const))('%s', (_name, _body, words, line) => {
    const refusal = output.split('\n').filter((text) => text.includes(`bad.mm:${line}:`) && text.includes('error:'));
    expect(refusal.join('\n')).toContain(words);
  });

  it(
    'what is arm64 only in a process of another architecture, and nothing in a good file',
    async () => {
      const statements = ['(void)[[VZLinuxRosettaDirectoryShare alloc] initWithError:&error];'];
      const [good, bad] = await Promise.all([
        check('good.mm', statements, 'arm64'),
        check('other.mm', statements, 'x86_64'),
      ]);
      expect(good).toMatchObject({ ok: true });
      expect(bad).toMatchObject({ ok: false, output: expect.stringContaining('VZLinuxRosettaDirectoryShare') });
    },
    LIMIT,
  );
});
