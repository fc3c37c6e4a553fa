/** The probe's program is one that kernels, routers and translators accept; what it says is tested in a machine. */
import { expect, test } from 'vitest';
import { probeProgram } from '../../../host/build/probe.ts';

test('the probe is an x86_64 program that asks for glibc’s loader, whole within its one segment', () => {
  const program = probeProgram();
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
