/** The probe's program is one that kernels, routers and translators accept; what it says is tested in a machine. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { probeProgram } from '../../../host/build/probe.ts';

test('the probe is an x86_64 program that asks for glibc’s loader, whole within its one segment', () => {
  const program = probeProgram('/dev/rvm-cache');
  expect(program.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
  expect(program.readUInt16LE(18)).toBe(62);
  const interpreter = Number(program.readBigUInt64LE(64 + 8));
  expect(program.toString('latin1', interpreter, program.indexOf(0, interpreter))).toBe('/lib64/ld-linux-x86-64.so.2');
  expect(Number(program.readBigUInt64LE(120 + 32))).toBe(program.length);
  const entry = Number(program.readBigUInt64LE(24)) - 0x400000;
  // The first instruction loads the address of the path: 7 bytes long, relative to what follows it.
  const pathAt = entry + 7 + program.readInt32LE(entry + 3);
  expect(program.toString('latin1', pathAt, program.indexOf(0, pathAt))).toBe('/dev/rvm-cache');
});

test.runIf(arch() === 'x64').each([
  ['on', '.'],
  ['off', 'no-such-file'],
])('it says %s for what is there or not', async (said, name) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'probe-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const program = probeProgram(path.join(folder, name));
  // Without the request for a loader, which would look for a dynamic section that only a translator can do without.
  program.writeUInt32LE(0, 64);
  const file = path.join(folder, 'probe');
  await writeFile(file, program);
  await chmod(file, 0o755);
  expect((await execa(file)).stdout).toBe(said);
});
