/**
 * A build whose step failed with the look of a translator's fault is tried again: without the translation cache, then
 * with the next translator. What helped is remembered in the deny list, as far as the program is known.
 */
import type { TranslatorName } from '../../guest/protocol.ts';
import type { DenyFrom } from '../../guest/translation-protocol.ts';
import type { AgentClient, Hold } from '../channel/agent-client.ts';
import { deny } from './deny.ts';
import type { Suspicion } from './failure.ts';
import type { BuildStep } from './steps.ts';

/** How a try differs from an ordinary build. */
export interface Condition {
  readonly cache: boolean;
  /** Null: the machine's own. */
  readonly translator: TranslatorName | null;
}

export const ORDINARY: Condition = { cache: true, translator: null };

export interface FailedTry {
  readonly condition: Condition;
  /** Null when no step did. */
  readonly step: BuildStep | null;
  /** Null: the step failed by itself. */
  readonly suspicion: Suspicion | null;
}

type Controls = Pick<AgentClient, 'health' | 'cacheHoldOff' | 'translatorHold' | 'denyAdd' | 'execCounts'>;

interface RetryOptions {
  /** Says plainly what is being done. */
  readonly tell: (message: string) => void;
}

/** What a machine can still try after an ordinary build, in order. */
export async function remedies(agent: Pick<AgentClient, 'health'>): Promise<Condition[]> {
  const { cache, translator } = await agent.health();
  const next = translator.fallbacks?.[0]?.name;
  return [
    ...(cache.state === 'on' ? [{ cache: false, translator: null }] : []),
    ...(next === undefined ? [] : [{ cache: false, translator: next }]),
  ];
}

/**
 * Runs `attempt` under ordinary conditions and, after failures that look like the translator's, under each remedy.
 * Resolves with the failure of the last try, or null when one succeeded. The switches are of the whole machine, so
 * they are held only, and end with this process whatever happens to it; other builds are slower meanwhile.
 */
export async function withRetries<T extends FailedTry>(
  agent: Controls,
  attempt: (condition: Condition) => Promise<T | null>,
  { tell }: RetryOptions,
): Promise<T | null> {
  const first = await attempt(ORDINARY);
  if (first === null || first.suspicion === null) return first;
  const left = await remedies(agent);
  const own = left.length === 0 ? null : ((await agent.health()).translator.active?.name ?? null);
  const holds: Hold[] = [];
  let last = first;
  try {
    for (const condition of left) {
      if (last.suspicion === null) return last;
      const { evidence } = last.suspicion;
      tell(`${stepOf(last)} failed as if its translator did (${evidence}). Trying once more ${describe(condition)}.`);
      const { translator } = condition;
      holds.push(await (translator === null ? agent.cacheHoldOff() : agent.translatorHold({ name: translator })));
      const failed = await attempt(condition);
      if (failed === null) {
        await remember(agent, last, condition, own, tell);
        return null;
      }
      last = failed;
    }
    return last;
  } finally {
    for (const hold of holds.reverse()) await hold.release();
  }
}

const stepOf = ({ step }: FailedTry): string => (step === null ? 'A step' : `Step ${step.number}`);

function describe({ translator }: Condition): string {
  return translator === null ? 'without the translation cache' : `with ${translator} instead`;
}

/** What the failed program is kept from, from now on. */
async function remember(
  agent: Controls,
  failed: FailedTry,
  condition: Condition,
  own: TranslatorName | null,
  tell: (message: string) => void,
): Promise<void> {
  const from: DenyFrom | null = condition.translator === null ? 'cache' : own;
  const program = failed.suspicion?.program ?? null;
  const helped = `It succeeded ${describe(condition)}.`;
  if (program === null || from === null) {
    tell(`${helped} Which program failed is not known, so the next build meets this again: ${failed.step?.name}.`);
    return;
  }
  const reason = `Failed in a build: ${failed.suspicion?.evidence ?? ''}`.slice(0, 200);
  const { effect } = await deny(agent, { program, from, reason });
  tell(`${helped} ${effect}`);
}
