/** Running one program to its end, with everything that tells how it ended. */
import { execa } from 'execa';

export interface CommandResult {
  /** Null when a signal ended it, or when it was never started. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  /** Whether there is no such program. */
  readonly absent: boolean;
}

export interface CommandOptions {
  readonly env: NodeJS.ProcessEnv;
  /** It is killed after so long, ms. */
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Never rejects but with what aborted it. */
export type CommandRunner = (argv: readonly string[], options: CommandOptions) => Promise<CommandResult>;

/** The longest answers are a machine's logs. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

export const runCommand: CommandRunner = async ([program = '', ...words], { env, limitMs, signal }) => {
  const result = await execa(program, words, {
    env,
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
    timeout: limitMs,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  return {
    exitCode: result.exitCode ?? null,
    signal: result.signal ?? null,
    stdout: result.stdout,
    stderr: result.stderr,
    timedOut: result.timedOut,
    absent: result.code === 'ENOENT',
  };
};
