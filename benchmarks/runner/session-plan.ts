/** What of a choice this machine can measure, and in which arms: asked before the first sample. */
import type { TranslatorName } from '../../guest/protocol.ts';
import { RosettaVmError } from '../../host/errors.ts';
import { formatSize, MIB } from '../../host/spec/units.ts';
import type { Arm, Fingerprint } from '../session.ts';
import { type Chosen, keyOf } from '../suites/load.ts';
import type { Bench } from './benchmark-runner.ts';
import { needsEngine } from './channel-runner.ts';
import { armsOf, type DiskMode, disksApart, type MachineFacts, type Matrix } from './matrix.ts';
import { requireHyperfine } from './prepare.ts';
import type { Planned } from './run-session.ts';

export interface PlanOptions {
  readonly bench: Pick<Bench, 'agent' | 'modes' | 'signal' | 'onProgress'>;
  readonly chosen: readonly Chosen[];
  readonly matrix: Matrix;
  readonly facts: MachineFacts;
  readonly fingerprint: Pick<Fingerprint, 'memoryMiB' | 'hostMemoryBytes'>;
}

export interface SessionPlan {
  readonly planned: readonly Planned[];
  /** Disks that need a machine of their own. */
  readonly apart: readonly DiskMode[];
}

/**
 * Leaves out, with a word, what the machine is not made for. Throws `E_STATE` when nothing is left or a translator of the
 * matrix cannot be had, and `E_HOST_MISSING`.
 */
export async function planSession({ bench, chosen, matrix, facts, fingerprint }: PlanOptions): Promise<SessionPlan> {
  const { agent, modes, signal, onProgress } = bench;
  const { engine } = await agent.health({ signal });
  const apart = chosen.some(({ benchmark }) => benchmark.kind === 'fio') ? disksApart(matrix, facts) : [];
  const room: Room = { ...fingerprint, machines: 1 + apart.length, engine: engine.state !== 'off' };
  const asked = chosen.map((one): Planned => ({ chosen: one, arms: armsOf(one.benchmark, matrix, facts) }));
  const missing = asked.map((one) => missingFor(one.chosen, room) ?? cannotRun(one));
  for (const [index, why] of missing.entries()) {
    if (why !== null) onProgress({ kind: 'note', message: `${keyOf(chosen[index] as Chosen)} is left out. ${why}` });
  }
  const planned = asked
    .filter((_one, index) => missing[index] === null)
    .map((one): Planned => ({ ...one, arms: one.arms.filter((arm) => whyNotIn(one.chosen, arm) === null) }));
  if (planned.length === 0) throw nothingLeft(missing);
  if (planned.some((one) => one.chosen.benchmark.kind === 'command')) await requireHyperfine(agent, signal);
  await modes.prove(translatorsOf(planned));
  return { planned, apart };
}

interface Room extends Pick<Fingerprint, 'memoryMiB' | 'hostMemoryBytes'> {
  /** That run throughout. */
  readonly machines: number;
  /** Whether the machine has Docker. */
  readonly engine: boolean;
}

/** Why it cannot be measured; null when it can. */
function missingFor({ benchmark }: Chosen, { memoryMiB, hostMemoryBytes, machines, engine }: Room): string | null {
  if (benchmark.kind === 'channel' && needsEngine(benchmark) && !engine) {
    return 'The machine’s settings say `engine: enabled: false`.';
  }
  if (benchmark.kind === 'boot' && (machines + 1) * memoryMiB * MIB > hostMemoryBytes) {
    const [size, host] = [formatSize(memoryMiB * MIB), formatSize(hostMemoryBytes)];
    return `Another machine of ${size} does not fit beside what runs; this host has ${host}.`;
  }
  return null;
}

/** Why no arm is left but the native one, which is the limit of others and tells nothing alone; null when one is. */
function cannotRun({ chosen, arms }: Planned): string | null {
  const reasons = arms.filter(({ native }) => !native).map((arm) => whyNotIn(chosen, arm));
  return reasons.includes(null) ? null : (reasons[0] ?? null);
}

/** Why the arm's translator cannot run it; null when it can. */
function whyNotIn({ benchmark }: Chosen, { dimensions }: Arm): string | null {
  if (benchmark.kind !== 'command' || dimensions.translator === undefined) return null;
  return benchmark.cannotRun[dimensions.translator as TranslatorName] ?? null;
}

const translatorsOf = (planned: readonly Planned[]): Set<TranslatorName> =>
  new Set(
    planned.flatMap(({ arms }) => arms).flatMap(({ dimensions }) => (dimensions.translator ?? []) as TranslatorName),
  );

const nothingLeft = (missing: readonly (string | null)[]): RosettaVmError =>
  new RosettaVmError('E_STATE', {
    what: 'Nothing of what was chosen can be measured in this machine.',
    why: [...new Set(missing)].join(' '),
    fix: 'Choose something else (`bench list`), or another machine (--machine NAME).',
  });
