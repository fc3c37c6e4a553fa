/** Made-up machines whose speed is another one in each session, compared as `bench compare` compares. */
import type { ComparableMeasurement, ComparableSession } from '../../../../benchmarks/compare/comparable.ts';
import {
  type CompareOptions,
  compareSessions,
  type SessionComparison,
} from '../../../../benchmarks/compare/sessions.ts';
import type { Arm } from '../../../../benchmarks/session.ts';
import { median } from '../../../../benchmarks/statistics/descriptive.ts';
import { type SessionNoise, sessionNoise } from '../../../../benchmarks/statistics/session-noise.ts';
import { fingerprint, NATIVE, WARM } from '../session-fixtures.ts';
import { measured, normal } from './noise.ts';

export interface Machine {
  /** Coefficient of variation of a run. */
  readonly noise: number;
  /** σ of the level of a session, as a share. */
  readonly levels: number;
  /** `common`: the machine is slower as a whole. `own`: each row has a level of its own. */
  readonly move: 'common' | 'own';
  /** Benchmarks with one translated arm each. */
  readonly benchmarks: number;
  /** Whether each has native work beside it. */
  readonly native: boolean;
  readonly runs: number;
}

/** `truth`: seconds of the translated arms; native work takes 1. */
export function session(random: () => number, machine: Machine, truth = 1): ComparableSession {
  const common = Math.exp(machine.levels * normal(random));
  const arms: readonly Arm[] = machine.native ? [WARM, NATIVE] : [WARM];
  const measurements = Array.from({ length: machine.benchmarks }, (_, index) =>
    arms.map((arm): ComparableMeasurement => {
      const level = machine.move === 'common' ? common : Math.exp(machine.levels * normal(random));
      const seconds = level * (arm.native ? 1 : truth);
      return {
        ...{ suite: 'exec', benchmark: `b${index}`, arm, unit: 'seconds', smallerIsBetter: true },
        values: Array.from({ length: machine.runs }, () => measured(random, seconds, machine.noise)),
        ...{ failed: 0, counts: {} },
      };
    }),
  ).flat();
  return {
    ...{ id: 's', date: '2026-11-26T00:00:00Z', commit: null, version: '0', tier: 'quick', state: 'complete' },
    ...{ fingerprint, measurements },
  };
}

/** What so many sessions of equal programs tell of the machine, benchmark by benchmark. */
export function learned(random: () => number, machine: Machine, sessions: number): CompareOptions['sessionNoise'] {
  const past = Array.from({ length: sessions }, () => session(random, machine));
  const noise = new Map<string, SessionNoise | null>();
  for (const [index, { benchmark, arm }] of (past[0]?.measurements ?? []).entries()) {
    const levels = past.map(({ measurements }) => median(measurements[index]?.values ?? []));
    noise.set(`${benchmark} ${arm.native}`, sessionNoise([levels]));
  }
  return ({ benchmark, arm }) => noise.get(`${benchmark} ${arm.native}`) ?? null;
}

/** The share of comparisons of which that is true. */
export function share(
  comparisons: number,
  compare: () => SessionComparison,
  holds: (comparison: SessionComparison) => boolean,
): number {
  let found = 0;
  for (let index = 0; index < comparisons; index++) if (holds(compare())) found++;
  return found / comparisons;
}

/** Two new sessions of a machine of which so many were seen before; 0: it is not known. */
export function twoSessions(
  random: () => number,
  machine: Machine,
  { seen, truth = 1 }: { readonly seen: number; readonly truth?: number },
): SessionComparison {
  const known = seen === 0 ? {} : { sessionNoise: learned(random, machine, seen) };
  return compareSessions(session(random, machine), session(random, machine, truth), known);
}

export const hasAlarm = ({ rows }: SessionComparison): boolean =>
  rows.some(({ verdict }) => verdict.kind === 'slower' || verdict.kind === 'faster');
