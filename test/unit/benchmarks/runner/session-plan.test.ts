/** What is asked before the first sample: whether this machine can be measured so at all. */
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { ModeSwitch } from '../../../../benchmarks/modes.ts';
import type { Bench } from '../../../../benchmarks/runner/benchmark-runner.ts';
import { DEFAULT_MATRIX, parseMatrix } from '../../../../benchmarks/runner/matrix.ts';
import { withOwnMachines } from '../../../../benchmarks/runner/own-machines.ts';
import { planSession, type SessionPlan } from '../../../../benchmarks/runner/session-plan.ts';
import { choose, keyOf, loadSuites } from '../../../../benchmarks/suites/load.ts';
import { RosettaVmError } from '../../../../host/errors.ts';
import type { TranslatorName } from '../../../../host/index.ts';
import { statePaths } from '../../../../host/paths.ts';
import { GIB } from '../../../../host/spec/units.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { fingerprint } from './samples.ts';

interface Setting {
  readonly engine?: string;
  readonly matrix?: readonly string[];
  readonly benchmarks?: readonly string[];
  readonly suites?: readonly string[];
  readonly hostMemoryBytes?: number;
}

const notes: string[] = [];
const switched: string[] = [];

async function plan(setting: Setting): Promise<SessionPlan> {
  notes.length = 0;
  switched.length = 0;
  const agent = {
    health: async () => ({
      engine: { state: setting.engine ?? 'ready' },
      translator: { wanted: 'box64', active: { name: 'box64', build: 'b', proved: true } },
    }),
    exec: async () => ({
      ...{ stdout: Readable.from([]), stderr: Readable.from([]), close: () => {} },
      exit: Promise.resolve({ code: 0, signal: null }),
    }),
    translatorSwitch: async ({ name }: { readonly name: TranslatorName }) => {
      switched.push(name);
      if (name !== 'rosetta') return { wanted: name, active: { name, build: name, proved: true } };
      throw new RosettaVmError('E_STATE', { what: 'The machine was started without rosetta.', why: '-', fix: '-' });
    },
  } as unknown as Bench['agent'];
  return await planSession({
    bench: {
      ...{ agent, modes: await ModeSwitch.take(agent, true), signal: new AbortController().signal },
      onProgress: (event) => {
        if (event.kind === 'note') notes.push(event.message);
      },
    },
    chosen: choose(await loadSuites(), {
      ...{ tier: 'quick', suites: setting.suites ?? [], benchmarks: setting.benchmarks ?? [] },
    }),
    matrix: setting.matrix === undefined ? DEFAULT_MATRIX : parseMatrix(setting.matrix),
    facts: { translator: 'box64', disk: 'nvme' },
    fingerprint: { memoryMiB: 2048, hostMemoryBytes: setting.hostMemoryBytes ?? 8 * GIB },
  });
}

const names = ({ planned }: SessionPlan): string[] => planned.map(({ chosen }) => keyOf(chosen));

describe('what Docker’s socket carries', () => {
  test('is left out, with a word, of a machine whose settings do without Docker', async () => {
    const found = names(await plan({ suites: ['channel'], engine: 'off' }));
    expect(found).toContain('channel/exec-latency');
    expect(found.filter((name) => name.includes('docker'))).toEqual([]);
    const left = ['latency', 'download', 'upload'].map((probe) => `channel/docker-${probe}`);
    expect(notes).toEqual(
      left.map((name) => `${name} is left out. The machine’s settings say \`engine: enabled: false\`.`),
    );
  });

  test('is measured where Docker has only not started yet', async () => {
    expect(names(await plan({ suites: ['channel'], engine: 'starting' }))).toContain('channel/docker-latency');
    expect(notes).toEqual([]);
  });

  test('alone there is nothing to measure, which is never a session', async () => {
    await expect(plan({ benchmarks: ['docker-latency'], engine: 'off' })).rejects.toMatchObject({
      ...{ code: 'E_STATE', why: expect.stringContaining('engine: enabled: false') },
    });
  });
});

describe('what a translator cannot run', () => {
  test('is measured in the others alone', async () => {
    const { planned } = await plan({ benchmarks: ['node', 'perl'], matrix: ['translator=box64,qemu'] });
    const armsOfEach = planned.map(({ arms }) => arms.map(({ native, dimensions }) => native || dimensions.translator));
    expect(armsOfEach).toEqual([
      ['box64', 'box64', 'qemu', true],
      ['qemu', true],
    ]);
  });

  test('is left out, with a word, where that is the only one', async () => {
    expect(names(await plan({ benchmarks: ['node', 'perl'] }))).toEqual(['exec/perl']);
    expect(notes).toEqual([expect.stringMatching(/^exec\/node is left out\. box64 0\.4\.3 maps a segment/)]);
  });
});

describe('a start of another machine', () => {
  test('is left out, with a word, where its memory does not fit beside the others', async () => {
    expect(names(await plan({ suites: ['boot', 'channel'], hostMemoryBytes: 4 * GIB }))).toContain('boot/cold-up');
    expect(names(await plan({ suites: ['boot', 'channel'], hostMemoryBytes: 3 * GIB }))).not.toContain('boot/cold-up');
    expect(notes[0]).toMatch(/^boot\/cold-up is left out\. Another machine of 2 GiB /);
    const disks = { suites: ['boot', 'disk'], matrix: ['disk=nvme,virtio'] };
    expect(names(await plan({ ...disks, hostMemoryBytes: 7 * GIB }))).not.toContain('boot/cold-up');
  });

  test('is one session’s at a time, whatever machine that measures', async () => {
    const paths = statePaths({ ROSETTA_VM_HOME: await temporaryFolder() });
    const bench = { paths } as unknown as Bench;
    const [starts, other] = [await plan({ suites: ['boot'] }), await plan({ benchmarks: ['agent-latency'] })];
    const inner = withOwnMachines(bench, starts, fingerprint, async () => {
      await expect(withOwnMachines(bench, other, fingerprint, async () => 'beside')).resolves.toBe('beside');
      return await withOwnMachines(bench, starts, fingerprint, async () => 'both');
    });
    await expect(inner).rejects.toMatchObject({ code: 'E_LOCKED', facts: { machine: 'bench-start' } });
  });
});

describe('a translator that the machine cannot run', () => {
  test('is refused before the first sample, and those that it can run are tried', async () => {
    const found = plan({ benchmarks: ['agent-latency', 'perl'], matrix: ['translator=box64,rosetta'] });
    await expect(found).rejects.toMatchObject({ what: 'The machine was started without rosetta.' });
    expect(switched).toEqual(['rosetta', 'box64']);
  });
});
