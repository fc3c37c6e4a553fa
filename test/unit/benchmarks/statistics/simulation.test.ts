/**
 * The whole gate on made-up machines of which the truth is known: rounds of ten runs an arm in ABBA order, noise that
 * is lognormal with spikes, verdicts as a user gets them. Seeded, so that every run of this file sees the same numbers.
 */
import { describe, expect, it } from 'vitest';
import { roundOrder } from '../../../../benchmarks/schedule.ts';
import {
  type Comparison,
  DEFAULT_RULE,
  ONE_LOOK,
  type Rule,
  TIME,
} from '../../../../benchmarks/statistics/comparison.ts';
import { nextRound } from '../../../../benchmarks/statistics/next-round.ts';
import { noiseFloor } from '../../../../benchmarks/statistics/noise-floor.ts';
import { suiteVerdict } from '../../../../benchmarks/statistics/verdict.ts';
import { measured, normal, uniform } from './noise.ts';

type ArmName = 'base' | 'change';

interface Machine {
  /** Coefficient of variation of a run. */
  readonly noise: number;
  /** Seconds that the change takes, of all benchmarks or of the n-th; the base takes 1. */
  readonly truth: number | ((benchmark: number) => number);
  /** For each round: how much slower the machine is at the n-th of so many samples. */
  readonly drift?: (random: () => number, round: number) => (place: number, samples: number) => number;
}

interface Session {
  readonly rule: Rule;
  readonly benchmarks: number;
  readonly runs: number;
  readonly order?: (runs: number, round: number) => ArmName[];
  readonly noiseFloor?: number | null;
}

const ARMS = ['base', 'change'] as const;
const inTurn = (runs: number, round: number) => roundOrder<ArmName>(ARMS, runs, round);
const inBlocks = (runs: number) => [...Array<ArmName>(runs).fill('base'), ...Array<ArmName>(runs).fill('change')];

const GATE: Session = { rule: DEFAULT_RULE, benchmarks: 1, runs: 10 };

/** One session of the gate, from the first round to its end: the kinds of verdicts, and how many rounds it took. */
function session(random: () => number, machine: Machine, { rule, benchmarks, runs, ...how }: Session) {
  const values = Array.from({ length: benchmarks }, () => ({ base: [] as number[], change: [] as number[] }));
  const suite = () =>
    new Map(values.map(({ base, change }, index) => [`${index}`, compared(base, change, how.noiseFloor ?? null)]));
  let rounds = 0;
  for (let next = nextRound(suite(), 0, rule); next.another; next = nextRound(suite(), rounds, rule)) {
    for (const name of next.benchmarks) {
      const order = (how.order ?? inTurn)(runs, next.round);
      const drift = machine.drift?.(random, next.round);
      for (const [place, arm] of order.entries()) {
        const slowness = 1 + (drift?.(place, order.length) ?? 0);
        const changed = typeof machine.truth === 'number' ? machine.truth : machine.truth(Number(name));
        const truth = (arm === 'base' ? 1 : changed) * slowness;
        values[Number(name)]?.[arm].push(measured(random, truth, machine.noise));
      }
    }
    rounds = next.round;
  }
  return { kinds: [...suiteVerdict(suite(), rule).verdicts.values()].map(({ kind }) => kind), rounds };
}

function compared(base: readonly number[], change: readonly number[], floor: number | null): Comparison {
  return {
    metric: TIME,
    base: { values: base, failed: 0 },
    change: { values: change, failed: 0 },
    noiseFloor: floor,
    differences: [],
  };
}

/** The share of sessions that end with such a verdict on any benchmark. */
function share(
  kinds: readonly string[],
  sessions: number,
  seed: number,
  machine: Machine,
  how: Partial<Session> = {},
): number {
  const random = uniform(seed);
  let found = 0;
  for (let index = 0; index < sessions; index++) {
    if (session(random, machine, { ...GATE, ...how }).kinds.some((kind) => kinds.includes(kind))) found++;
  }
  return found / sessions;
}

const ALARM = ['slower', 'faster'];

describe('equal arms', () => {
  it.each([0.01, 0.02, 0.05, 0.1])(
    'raise an alarm in at most one of a hundred sessions of up to four looks: noise %d',
    (noise) => {
      expect(share(ALARM, 800, 1, { noise, truth: 1 })).toBeLessThanOrEqual(0.01);
    },
  );

  it('raise an alarm in any of eight benchmarks in at most 1 % of the suites', () => {
    expect(share(ALARM, 100, 2, { noise: 0.1, truth: 1 }, { benchmarks: 8 })).toBeLessThanOrEqual(0.01);
  });

  it('raise more than that when four looks are taken for one: the simulation sees the fault', () => {
    const random = uniform(3);
    let alarms = 0;
    for (let index = 0; index < 600; index++) {
      const base: number[] = [];
      const change: number[] = [];
      for (let round = 0; round < 4; round++) {
        for (let run = 0; run < 10; run++) {
          base.push(measured(random, 1, 0.1));
          change.push(measured(random, 1, 0.1));
        }
        const { outcome, verdicts } = suiteVerdict(new Map([['0', compared(base, change, null)]]), ONE_LOOK);
        if (outcome === 'regression' || verdicts.get('0')?.kind === 'faster') {
          alarms++;
          break;
        }
      }
    }
    expect(alarms / 600).toBeGreaterThan(0.015);
  });

  it('end as same on a quiet machine, and on a noisy one that was calibrated', () => {
    expect(share(['same'], 200, 4, { noise: 0.01, truth: 1 })).toBeGreaterThanOrEqual(0.99);
    expect(share(['same'], 200, 4, { noise: 0.02, truth: 1 })).toBeGreaterThanOrEqual(0.95);

    const random = uniform(5);
    const round = () => Array.from({ length: 10 }, () => measured(random, 1, 0.1));
    const floor = noiseFloor(Array.from({ length: 10 }, () => ({ first: round(), second: round() })));
    expect(share(['same'], 50, 6, { noise: 0.1, truth: 1 })).toBeLessThan(0.1);
    expect(share(['same'], 50, 6, { noise: 0.1, truth: 1 }, { noiseFloor: floor })).toBeGreaterThanOrEqual(0.9);
  });
});

describe('a change of 5 % at 2 % noise', () => {
  it.each([
    ['slower', 1.05],
    ['faster', 1 / 1.05],
  ])('is found %s in at least 85 of 100 sessions with ten runs an arm', (kind, truth) => {
    expect(share([kind], 500, 7, { noise: 0.02, truth }, { rule: ONE_LOOK })).toBeGreaterThanOrEqual(0.85);
  });

  /** One of so many benchmarks changed; the share of suites in which it is found. */
  const foundAmong = (benchmarks: number, suites: number, how: Pick<Session, 'rule' | 'runs'>) => {
    const random = uniform(13);
    const changed = (index: number) => (index === 0 ? 1.05 : 1);
    let found = 0;
    for (let suite = 0; suite < suites; suite++) {
      const { kinds } = session(random, { noise: 0.02, truth: changed }, { ...how, benchmarks });
      if (kinds[0] === 'slower') found++;
    }
    return found / suites;
  };

  it('is harder to find among many benchmarks: ten runs do for one, fifteen for twenty-seven', () => {
    expect(foundAmong(9, 300, { rule: ONE_LOOK, runs: 10 })).toBeLessThan(0.75);
    expect(foundAmong(9, 300, { rule: ONE_LOOK, runs: 15 })).toBeGreaterThanOrEqual(0.85);
    expect(foundAmong(27, 100, { rule: ONE_LOOK, runs: 15 })).toBeGreaterThanOrEqual(0.8);
  });

  it('is found among nine by what `bench` does unless it is told otherwise: five runs, up to four times', () => {
    expect(foundAmong(9, 200, { rule: DEFAULT_RULE, runs: 5 })).toBeGreaterThanOrEqual(0.9);
  });

  it('is found nearly always when the gate may take its four rounds, and most often in the first', () => {
    const random = uniform(8);
    const all = Array.from({ length: 300 }, () => session(random, { noise: 0.02, truth: 1.05 }, GATE));
    const slower = all.filter(({ kinds }) => kinds[0] === 'slower');
    expect(slower.length / all.length).toBeGreaterThanOrEqual(0.97);
    expect(slower.filter(({ rounds }) => rounds === 1).length / all.length).toBeGreaterThanOrEqual(0.7);
  });

  it('is never called same', () => {
    expect(share(['same'], 300, 9, { noise: 0.02, truth: 1.05 })).toBeLessThanOrEqual(0.01);
  });
});

describe('a machine whose speed drifts by 2 %', () => {
  /** Two blocks a round, each as much slower or faster as chance has it. */
  const blockwise = (random: () => number) => {
    const blocks = [0.02 * normal(random), 0.02 * normal(random)];
    return (place: number, samples: number) => blocks[place < samples / 2 ? 0 : 1] ?? 0;
  };
  /** Ever slower, by 2 % a round. */
  const slope = (_: unknown, round: number) => (place: number, samples: number) =>
    (0.02 * (place + samples * (round - 1))) / samples;

  it('gives no alarm when the samples are taken in turn', () => {
    expect(share(ALARM, 500, 10, { noise: 0.01, truth: 1, drift: blockwise })).toBe(0);
    expect(share(ALARM, 500, 11, { noise: 0.01, truth: 1, drift: slope })).toBe(0);
  });

  it('gives many when they are taken in blocks', () => {
    const blocks = { order: inBlocks, rule: ONE_LOOK };
    expect(share(ALARM, 500, 12, { noise: 0.01, truth: 1, drift: blockwise }, blocks)).toBeGreaterThan(0.1);
  });
});
