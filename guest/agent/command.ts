/** Runs the guest's small programs (mount, mkfs, date): always with a time limit and bounded output. */
import { execFile } from 'node:child_process';
import { RosettaVmError } from '../../host/errors.ts';

/** Output beyond this is not ours to read: it ends the program. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end and returns its exit code, whatever it is. Throws `E_NOT_FOUND` when it cannot be started
 * and `E_TIMEOUT` when it was killed after `timeoutMs`.
 */
export type RunCommand = (argv: readonly [string, ...string[]], timeoutMs: number) => Promise<CommandResult>;

export const runCommand: RunCommand = ([program, ...args], timeoutMs) =>
  new Promise((resolve, reject) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
      else if (error.killed === true) reject(tooSlow(program, timeoutMs));
      else reject(notStarted(program, error));
    });
  });

/** Like {@link RunCommand}, but an exit code other than 0 throws `E_AGENT` with the end of what the program said. */
export async function runOrThrow(
  run: RunCommand,
  argv: readonly [string, ...string[]],
  timeoutMs: number,
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, timeoutMs);
  if (code === 0) return stdout;
  throw new RosettaVmError('E_AGENT', {
    what: `In the guest, ${argv.join(' ')} failed.`,
    why: stderr.trim().split('\n').slice(-3).join(' ') || `It ended with ${code}.`,
    fix: 'See `rosetta-vm logs`.',
    facts: { program: argv[0], code },
  });
}

function tooSlow(program: string, timeoutMs: number): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: `In the guest, ${program} did not finish.`,
    why: `It was ended after ${timeoutMs / 1000} s.`,
    fix: 'See `rosetta-vm logs`.',
    facts: { program, timeoutMs },
  });
}

function notStarted(program: string, cause: Error): RosettaVmError {
  return new RosettaVmError('E_NOT_FOUND', {
    what: `In the guest, ${program} cannot be started.`,
    why: cause.message,
    fix: 'Build the image again with `rosetta-vm image build`.',
    facts: { program },
    cause,
  });
}
