import { Readable, Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { requireHyperfine } from '../../../../benchmarks/runner/prepare.ts';
import type { AgentClient } from '../../../../host/index.ts';

/** A guest in which every program ends so. */
const guest = (code: number): AgentClient =>
  ({
    exec: async () => ({
      stdin: new Writable(),
      stdout: Readable.from([]),
      stderr: Readable.from([]),
      exit: Promise.resolve({ code, signal: null }),
      close: () => {},
    }),
  }) as unknown as AgentClient;

describe('a guest without hyperfine', () => {
  const { signal } = new AbortController();

  test('is told, with what brings it', async () => {
    await expect(requireHyperfine(guest(127), signal)).rejects.toMatchObject({
      code: 'E_HOST_MISSING',
      what: 'hyperfine is not in the machine.',
      fix: expect.stringContaining('delete --keep-data'),
    });
  });

  test('one that has it is fine', async () => {
    await expect(requireHyperfine(guest(0), signal)).resolves.toBeUndefined();
  });
});
