/** The same for a user's own image. */
import type { BuildRequest } from '../../host/build/request.ts';
import type { CommandContext } from '../../host/cli/context.ts';
import { runningMachine } from '../../host/cli/running-machine.ts';
import { alone } from '../alone.ts';
import { commitOfTree } from '../measured-commit.ts';
import { runBuildSession } from '../runner/build-session.ts';
import { buildMatrix, type Matrix, translatedArms } from '../runner/matrix.ts';
import { type Measured, openSession } from './measure.ts';

export interface MeasureBuildOptions {
  readonly machine: string;
  readonly matrix: Matrix;
  readonly runs: number;
  readonly limitMs: number;
  readonly file: string | null;
}

/** Throws what keeps a session from beginning; what ends it later is in the result. */
export const measureBuild = (
  context: CommandContext,
  request: BuildRequest,
  options: MeasureBuildOptions,
): Promise<Measured> => alone(context.paths, options.machine, () => measureAlone(context, request, options));

async function measureAlone(
  context: CommandContext,
  request: BuildRequest,
  { machine, matrix, runs, limitMs, file: named }: MeasureBuildOptions,
): Promise<Measured> {
  const agent = await runningMachine(context, machine, context.interrupts());
  const { bench, facts, recorder, clock, file } = await openSession(context, agent, {
    // A build has no tiers; its session is compared with others of the same kind alone.
    ...{ machine, tier: 'full', file: named },
    choice: { purpose: 'build', suites: [], benchmarks: [], runs },
    // What changes from one build to the next is the user's own image, so it is that tree's commit.
    commit: await commitOfTree(request.context),
  });
  const { translator } = await agent.health({ signal: bench.signal });
  const whole = buildMatrix(matrix, translator);
  await bench.modes.prove(whole.translator);
  const arms = translatedArms(whole, facts);
  const { session, error } = await runBuildSession({ bench, request, arms, runs, limitMs, recorder, clock });
  return { session, file, error };
}
