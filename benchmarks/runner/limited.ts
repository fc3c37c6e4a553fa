/** Work of the host with a time limit of its own, told apart from the user's wish to stop. */
import { asRosettaVmError, RosettaVmError } from '../../host/errors.ts';

/** Runs it under the caller's signal and the limit. Throws `E_ABORTED`, `E_TIMEOUT` after the limit, else what it throws. */
export async function limited<T>(
  what: string,
  limitSeconds: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(limitSeconds * 1000);
  try {
    return await run(AbortSignal.any([signal, limit]));
  } catch (error) {
    // What a stream says that was closed for it tells nothing.
    if (signal.aborted) throw asRosettaVmError(signal.reason);
    throw limit.aborted ? tooLong(what, limitSeconds) : error;
  }
}

const tooLong = (what: string, limitSeconds: number): RosettaVmError =>
  new RosettaVmError('E_TIMEOUT', {
    what: `${what} did not end.`,
    why: `It was given ${limitSeconds} s.`,
    fix: '`rosetta-vm status` says whether the machine answers.',
    facts: { limitSeconds },
  });
