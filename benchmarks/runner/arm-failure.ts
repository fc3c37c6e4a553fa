/** What fails in one arm and says nothing about the next, told apart from what ends a session. */
import { asRosettaVmError, type ErrorCode, RosettaVmError } from '../../host/errors.ts';

const OF_THE_ARM: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'E_AGENT',
  'E_BUILD',
  'E_EXEC',
  'E_INVALID',
  'E_NETWORK',
  'E_NOT_FOUND',
  'E_STATE',
  'E_TIMEOUT',
  'E_VERIFY',
]);

export const isOfTheArm = (error: unknown): boolean => OF_THE_ARM.has(asRosettaVmError(error).code);

/** The user's wish to stop, and a host that can write no session. */
const OF_THE_SESSION: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['E_ABORTED', 'E_DISK_FULL']);

/**
 * Runs what uses more than the session's machine: a machine of its own, or Docker. What fails there is the arm's, whatever
 * its code; whether the session's machine still answers is asked afterwards. Throws `E_EXEC` for it.
 */
export async function blameArm<T>(title: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const { code, what, why, fix } = asRosettaVmError(error);
    if (OF_THE_ARM.has(code) || OF_THE_SESSION.has(code)) throw error;
    throw new RosettaVmError('E_EXEC', {
      what: `${title} failed.`,
      why: `${what} ${why}`.trim(),
      fix,
      facts: { cause: code },
      cause: error,
    });
  }
}
