/** A machine, the chosen benchmarks and a file: what `bench run` and `bench calibrate` have in common. */
import path from 'node:path';
import type { CommandContext } from '../../host/cli/context.ts';
import { startedMachine } from '../../host/cli/running-machine.ts';
import { asRosettaVmError } from '../../host/errors.ts';
import type { AgentClient } from '../../host/index.ts';
import { parseSpec } from '../../host/spec/spec.ts';
import { alone } from '../alone.ts';
import { tooFewToProve } from '../compare/runs-needed.ts';
import { measuredCommit } from '../measured-commit.ts';
import { ModeSwitch } from '../modes.ts';
import { requireRoomFor } from '../named-file.ts';
import { calibrationSessionsFolder, sessionsFolder } from '../runner/bench-folder.ts';
import type { Bench } from '../runner/benchmark-runner.ts';
import { ClockWatch } from '../runner/clock.ts';
import { diskMode } from '../runner/disk-machines.ts';
import { describeMachine, sessionHead } from '../runner/fingerprint.ts';
import type { MachineFacts, Matrix } from '../runner/matrix.ts';
import { readNoiseFloors } from '../runner/noise-floors.ts';
import { withOwnMachines } from '../runner/own-machines.ts';
import { prepareBenchmark } from '../runner/prepare.ts';
import { Recorder } from '../runner/recorder.ts';
import { runSession, subjectOf } from '../runner/run-session.ts';
import { planSession } from '../runner/session-plan.ts';
import type { Choice, Fingerprint, Session } from '../session.ts';
import { type Chosen, choose, loadSuites } from '../suites/load.ts';
import { floorsOf } from './known-noise.ts';
import type { ChoiceFlags } from './options.ts';

export interface MeasureOptions extends ChoiceFlags {
  readonly purpose: Choice['purpose'];
  readonly machine: string;
  readonly matrix: Matrix;
  readonly mirror?: string | undefined;
  /** Samples an arm, in one round; null: as the tier has it. */
  readonly runs: number | null;
  /** Null: a file of the session's name among all sessions. */
  readonly file: string | null;
}

export interface Measured {
  readonly session: Session;
  /** Absolute path. */
  readonly file: string;
  /** What ended it before its end, or null. */
  readonly error: unknown;
}

/** What `--suite` and `--benchmark` mean, before anything is started. Throws `E_NOT_FOUND`. */
export async function chosen({ tier, suite, benchmark }: ChoiceFlags): Promise<Chosen[]> {
  return choose(await loadSuites(), { tier, suites: suite, benchmarks: benchmark });
}

/** Throws what keeps a session from beginning; what ends it later is in the result. */
export const measure = (context: CommandContext, what: readonly Chosen[], options: MeasureOptions): Promise<Measured> =>
  alone(context.paths, options.machine, () => measureAlone(context, what, options));

async function measureAlone(
  context: CommandContext,
  what: readonly Chosen[],
  options: MeasureOptions,
): Promise<Measured> {
  const { tier, matrix, runs, machine, mirror } = options;
  const agent = await startedMachine(context, machine, context.interrupts());
  const { purpose, suite, benchmark, file: named } = options;
  const { commit, note } = await measuredCommit();
  const { bench, facts, fingerprint, recorder, clock, file } = await openSession(context, agent, {
    ...{ machine, tier, file: named, commit },
    choice: { purpose, suites: [...suite], benchmarks: [...benchmark], runs },
  });
  if (note !== null) bench.onProgress({ kind: 'note', message: note });
  const plan = await planSession({ bench, chosen: what, matrix, facts, fingerprint });
  const places = plan.planned.flatMap((one) => one.arms.map((arm) => subjectOf(one, arm)));
  const tooFew = purpose === 'run' && runs !== null ? tooFewToProve(places, runs) : null;
  if (tooFew !== null) bench.onProgress({ kind: 'note', message: tooFew });
  const floors = await readNoiseFloors(context.paths, fingerprint);
  return await withOwnMachines({ ...bench, mirror }, plan, fingerprint, async (own) => {
    const { session, error } = await runSession({
      bench: own,
      ...{ planned: plan.planned, tier, runs, recorder, clock, prepare: prepareBenchmark },
      noiseFloor: floorsOf(floors),
    });
    return { session, file, error };
  });
}

export interface OpenSession {
  readonly bench: Bench;
  readonly facts: MachineFacts;
  readonly fingerprint: Fingerprint;
  readonly recorder: Recorder;
  readonly clock: ClockWatch;
  /** Absolute path. */
  readonly file: string;
}

export interface OpenOptions extends Pick<MeasureOptions, 'machine' | 'tier' | 'file'> {
  readonly choice: Choice;
  /** Of what is measured. */
  readonly commit: Session['commit'];
}

/** What every session begins with: the machine, what it is, and a file. */
export async function openSession(
  context: CommandContext,
  agent: AgentClient,
  { machine, tier, choice, commit, file: named }: OpenOptions,
): Promise<OpenSession> {
  const { paths } = context;
  const machines = await context.machines();
  const status = await machines.status(machine);
  const spec = status.spec ?? parseSpec({});
  const modes = await ModeSwitch.take(agent, spec.cache.enabled);
  const fingerprint = await describeMachine({ machines, paths }, status);
  const head = sessionHead(tier, choice, commit);
  const folder = choice.purpose === 'calibration' ? calibrationSessionsFolder(paths) : sessionsFolder(paths);
  const file = path.resolve(named ?? path.join(folder, `${head.id}.json`));
  await requireRoomFor(file);
  const clock = new ClockWatch();
  const recorder = new Recorder({
    ...{ head, file, clockJumpMs: () => clock.longestMs },
    fingerprint: () => ({ ...fingerprint, translators: { ...fingerprint.translators, ...modes.builds } }),
  });
  return {
    bench: {
      ...{ agent, machines, machine, spec, paths, modes },
      diskPlace: () => Promise.resolve({ agent }),
      signal: context.interrupts(),
      onProgress: context.progress(),
    },
    facts: { translator: modes.own, disk: diskMode(fingerprint.disk) },
    ...{ fingerprint, recorder, clock, file },
  };
}

/** Exit status of a session that could not be measured to its end, whatever ended it. */
const BROKEN = 9;

/** Tells where a session is that ended early, and throws what ended it; a machine that fails is `broken`. */
export function throwUnlessWhole(context: CommandContext, { file, session, error }: Measured): void {
  if (error === null) return;
  context.endProgress();
  const kept =
    session.measurements.length > 0
      ? ` What was measured is in ${file}, marked partial; \`bench report\` shows it.`
      : '';
  context.tell(`The session ended before its end.${kept}\n`);
  if (asRosettaVmError(error).code !== 'E_ABORTED') context.failureStatus = BROKEN;
  throw error;
}

/** 0 when every arm was measured, else 9: a session that measured nothing is never ok. */
export function exitStatusOf({ measurements, rejected }: Session): number {
  return measurements.length === 0 || rejected.length > 0 ? BROKEN : 0;
}
