/** One Docker build, for the times of its steps. */
import { Writable } from 'node:stream';
import { runBuild } from '../host/build/build.ts';
import type { BuildRequest } from '../host/build/request.ts';
import type { BuildStep } from '../host/build/steps.ts';
import { RosettaVmError } from '../host/errors.ts';
import type { AgentClient } from '../host/index.ts';

/**
 * The steps that ended, in their order. Without a second try: one with the cache off would pass for one with it on. Throws
 * `E_BUILD`, `E_TIMEOUT` after `limitMs`, `E_ABORTED`.
 */
export async function timedBuild(
  agent: AgentClient,
  request: BuildRequest,
  limitMs: number,
  signal: AbortSignal,
): Promise<readonly BuildStep[]> {
  const steps = new Map<string, BuildStep>();
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(tooLong(limitMs)), limitMs);
  try {
    await runBuild(agent, request, {
      signal: AbortSignal.any([signal, limit.signal]),
      stdout: new Writable({ write: (_chunk, _encoding, done) => done() }),
      explain: false,
      retry: false,
      onEvent: (event) => {
        if (event.kind === 'completed') steps.set(event.step.digest, event.step);
      },
    });
  } finally {
    clearTimeout(timer);
  }
  return [...steps.values()];
}

const tooLong = (limitMs: number): RosettaVmError =>
  new RosettaVmError('E_TIMEOUT', {
    what: 'The build did not end.',
    why: `It was given ${limitMs / 60_000} minutes.`,
    fix: 'Measure again with less load on this computer.',
    facts: { limitMs },
  });
