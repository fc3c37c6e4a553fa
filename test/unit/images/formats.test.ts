import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RosettaVmError } from '../../../host/errors.ts';
import { writeCpio } from '../../../images/archive/cpio-write.ts';
import type { Entry } from '../../../images/archive/entry.ts';
import { readTar, safePath } from '../../../images/archive/tar-read.ts';
import { writeTar } from '../../../images/archive/tar-write.ts';
import { packageFiles } from '../../../images/debian/deb.ts';
import { decompress, readCompressed } from '../../../images/debian/xz.ts';
import { applyRelativeRelocations, elfSection, replaceInterpreter, replaceString } from '../../../images/elf.ts';
import { file, folder, link } from '../../../images/root/tree.ts';
import { FIXED_ADDRESS, makeAr, makeDeb, makeElf, makeFixedProgram, makeTar, type TarMember } from './support/deb.ts';

/** `printf 'rosetta' | xz` */
const XZ = Buffer.from(
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAGcm9zZXR0YQAAkw/7EDKDfBMAAR8HFi64cx+2830BAAAAAARZWg==',
  'base64',
);

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'rvm-formats-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function entriesOf(archive: Buffer): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of readTar(Readable.from([archive]), 'the archive')) entries.push(await entry.load());
  return entries;
}

describe('tar archives', () => {
  it('are read as they were written, long names included', async () => {
    const long = `${'deep/'.repeat(60)}file`;
    const entries: Entry[] = [
      folder('a', 0o1777),
      file('a/file', 'content', 0o4755),
      link('a/link', '/elsewhere'),
      { path: 'a/hard', type: 'hardlink', target: 'a/file', mode: 0o644, uid: 0, gid: 0 },
      file(long, Buffer.alloc(1000, 7)),
      link('far', `/${long}`),
    ];
    const written = path.join(home, 'a.tar');
    const tar = await writeTar(written, 1_700_000_000);
    for (const entry of entries) await tar.add(entry);
    const { bytes } = await tar.finish();

    const archive = await readFile(written);
    expect(archive.length).toBe(bytes);
    expect(await entriesOf(archive)).toEqual(entries);
  });

  it.each<[string, TarMember]>([
    ['climbs out', { name: '../../etc/passwd' }],
    ['is absolute', { name: '/etc/passwd' }],
    ['is a hard link to the outside', { name: 'a', linkTarget: '../b', flag: '1' }],
    ['is a device', { name: 'null', flag: '3' }],
    ['links to nothing', { name: 'a', flag: '2' }],
  ])('are refused when an entry %s', async (_, member) => {
    await expect(entriesOf(makeTar([member]))).rejects.toMatchObject({ code: 'E_INVALID' });
  });

  it('are refused when they are cut or changed', async () => {
    const archive = makeTar([{ name: 'file', content: 'x'.repeat(600) }]);

    await expect(entriesOf(archive.subarray(0, 700))).rejects.toMatchObject({ code: 'E_INVALID' });
    archive[5] = 1;
    await expect(entriesOf(archive)).rejects.toMatchObject({ code: 'E_INVALID' });
  });

  it('never fail in any other way, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2048 }), fc.nat(511), async (noise, at) => {
        const archive = makeTar([{ name: 'file', content: 'content' }]);
        archive.set(noise.subarray(0, archive.length - at), at);
        await entriesOf(archive).catch((error: unknown) => expect(error).toBeInstanceOf(RosettaVmError));
      }),
      { numRuns: 200 },
    );
  });

  it('never let a path leave the root', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('..', '.', '', 'a', 'b\\c')), (parts) => {
        const safe = safePath(parts.join('/'));
        expect(safe === null || !`/${safe}/`.includes('/../')).toBe(true);
        expect(safe?.startsWith('/') ?? false).toBe(false);
      }),
    );
  });
});

describe('initial RAM disks', () => {
  it('are aligned records that end with the trailer', () => {
    const cpio = writeCpio([folder('bin'), file('bin/sh', 'abc', 0o755), link('init', 'bin/sh')]);
    const names: string[] = [];
    for (let at = 0; at < cpio.length; ) {
      const field = (index: number): number =>
        Number.parseInt(cpio.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
      expect(cpio.toString('latin1', at, at + 6)).toBe('070701');
      const [mode, contentBytes, nameBytes] = [field(1), field(6), field(11)];
      names.push(`${cpio.toString('latin1', at + 110, at + 110 + nameBytes - 1)} ${mode.toString(8)} ${contentBytes}`);
      at = (at + 110 + nameBytes + 3) & ~3;
      at = (at + contentBytes + 3) & ~3;
    }

    expect(names).toEqual(['bin 40755 0', 'bin/sh 100755 3', 'init 120777 6', 'TRAILER!!! 0 0']);
  });
});

describe('ELF edits', () => {
  it('put a shorter interpreter in the place of the old one', () => {
    const program = makeElf({ interpreter: '/lib/ld-linux-aarch64.so.1' });
    const before = program.length;
    replaceInterpreter(program, '/lib/ld-linux-aarch64.so.1', '/dev/rvm/ld.so', 'program');

    expect(program.length).toBe(before);
    expect(program.toString('latin1', 120)).toBe('/dev/rvm/ld.so'.padEnd(27, '\0'));
  });

  it.each([
    ['another interpreter', makeElf({ interpreter: '/lib/other' }), '/x'],
    ['no interpreter', makeElf({}), '/x'],
    ['a longer one to put in', makeElf({ interpreter: '/a' }), '/longer'],
    ['no ELF file', Buffer.from('#!/bin/sh\n'), '/x'],
    ['a header table beyond its end', makeElf({ interpreter: '/a' }).subarray(0, 100), '/x'],
  ])('are refused for %s', (_, program, to) => {
    expect(() => replaceInterpreter(Buffer.from(program), '/a', to, 'program')).toThrow(
      expect.objectContaining({ code: 'E_INVALID', facts: { file: 'program' } }),
    );
  });

  it('replace whole strings alone, and only as often as expected', () => {
    const bytes = Buffer.from('\0/lib/\0/usr/lib/\0/lib/\0');
    replaceString(bytes, '/lib/', '/new/', 2, 'loader');

    expect(bytes.toString()).toBe('\0/new/\0/usr/lib/\0/new/\0');
    expect(() => replaceString(bytes, '/new/', '/old/', 1, 'loader')).toThrow(/2 times, not 1/);
    expect(() => replaceString(bytes, '/new/', '/longer/', 2, 'loader')).toThrow(/length/);
  });

  it('relocates a program of a fixed address in the file, and leaves the loader the other relocations', () => {
    const other = 1025n;
    const { bytes, dataAt } = makeFixedProgram({
      interpreter: '/lib/ld.so',
      relocations: [
        [2, 0x34801000n],
        [0, 0x34802000n],
        [1, 7n, other],
      ],
      relative: 2,
      slots: 3,
    });
    expect(applyRelativeRelocations(bytes, 'program')).toBe(2);
    const slots = [0, 1, 2].map((slot) => bytes.readBigUInt64LE(dataAt + slot * 8));
    expect(slots).toEqual([0x34802000n, 0n, 0x34801000n]);
    const [table, size, count] = [0, 1, 2].map((row) => bytes.readBigUInt64LE(dataAt - 64 + row * 16 + 8));
    expect([size, count]).toEqual([24n, 0n]);
    expect(bytes.readBigUInt64LE(Number(table) - FIXED_ADDRESS + 8)).toBe(other);
    expect(applyRelativeRelocations(bytes, 'program')).toBe(0);
  });

  const program = { interpreter: '/lib/ld.so', relocations: [[0, 1n]] as [number, bigint][], relative: 1, slots: 1 };
  it.each([
    ['one that is loaded anywhere', { ...program, type: 3 }],
    ['one with relocations out of order', { ...program, relocations: [[0, 1n, 1025n] as [number, bigint, bigint]] }],
    ['one that counts more than it has', { ...program, relative: 2 }],
    ['one that relocates what is not in it', { ...program, relocations: [[9, 1n] as [number, bigint]] }],
  ])('does not relocate %s', (_name, parts) => {
    const { bytes } = makeFixedProgram(parts);
    expect(() => applyRelativeRelocations(bytes, 'program')).toThrow(expect.objectContaining({ code: 'E_INVALID' }));
  });

  it('find sections by name', () => {
    const module = makeElf({ sections: { '.text': 'code', '.modinfo': 'depends=vsock\0' } });

    expect(elfSection(module, '.modinfo', 'module')?.toString()).toBe('depends=vsock\0');
    expect(elfSection(module, '.data', 'module')).toBeNull();
  });

  it('never fail in any other way, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        const program = Buffer.concat([Buffer.from('\x7fELF\x02\x01', 'latin1'), noise]);
        try {
          elfSection(program, '.modinfo', 'noise');
        } catch (error) {
          expect(error).toBeInstanceOf(RosettaVmError);
        }
      }),
    );
  });
});

describe('xz streams', () => {
  it('are decompressed, and let the next one begin when a reader stops early', async () => {
    for await (const _ of decompress(Readable.from([XZ]), 'xz')) break;
    const packed = path.join(home, 'a.xz');
    await writeFile(packed, XZ);

    expect((await readCompressed(packed, 'xz', 7, 'the file')).toString()).toBe('rosetta');
  });

  it('are refused when they unpack to another size', async () => {
    const packed = path.join(home, 'a.xz');
    await writeFile(packed, XZ);

    await expect(readCompressed(packed, 'xz', 6, 'the file')).rejects.toMatchObject({ code: 'E_VERIFY' });
    await expect(readCompressed(packed, 'xz', 8, 'the file')).rejects.toMatchObject({ code: 'E_VERIFY' });
  });
});

describe('.deb files', () => {
  const namesIn = async (bytes: Buffer): Promise<string[]> => {
    const deb = path.join(home, 'a.deb');
    await writeFile(deb, bytes);
    const names: string[] = [];
    for await (const entry of packageFiles(deb, 'a 1.0')) names.push(entry.path);
    return names;
  };

  it('yield their files', async () => {
    expect(await namesIn(makeDeb([{ name: './usr/' }, { name: './usr/a', content: 'x' }]))).toEqual(['usr', 'usr/a']);
  });

  it.each<[string, Buffer]>([
    ['they are empty', Buffer.alloc(0)],
    ['the first member is another', makeAr([['control.tar', Buffer.alloc(4)]])],
    ['there is no data', makeAr([['debian-binary', Buffer.from('2.0\n')]])],
    [
      'the compression is unknown',
      makeAr([
        ['debian-binary', Buffer.from('2.0\n')],
        ['data.tar.lz', Buffer.from('x')],
      ]),
    ],
    ['they are cut', makeDeb([{ name: './a', content: 'x'.repeat(5000) }]).subarray(0, 250)],
  ])('are refused when %s', async (_, bytes) => {
    await expect(namesIn(bytes)).rejects.toMatchObject({ code: 'E_INVALID' });
  });
});

it('the setup script is one that a shell can read', async () => {
  const script = path.resolve('images/overlay/initrd/init');
  expect(spawnSync('sh', ['-n', script], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
});
