/** Runs a program in the guest to its end, with its output and a time limit. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ExecRequest } from '../../guest/protocol.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import type { AgentClient } from './agent-client.ts';

export interface CommandOptions {
  /** ms; the program is killed then. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** What the program reads from its standard input. */
  readonly input?: AsyncIterable<Buffer> | undefined;
}

export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** What is kept of each output, bytes: results are small, and an error's first lines tell most. */
const MAX_OUTPUT_BYTES = 64 * 1024;

/**
 * Resolves with what it printed when it ended with 0. Throws `E_EXEC` with the end of its standard error for any other
 * end, `E_TIMEOUT` after the limit, `E_ABORTED`, and what {@link AgentClient.exec} throws.
 */
export async function runInGuest(
  agent: AgentClient,
  request: Omit<ExecRequest, 'stdin'>,
  { limitMs, signal, input }: CommandOptions,
): Promise<CommandOutput> {
  const session = await agent.exec({ ...request, stdin: input !== undefined }, { signal });
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(tooLong(request, limitMs)), limitMs);
  const onAbort = (): void => abort.abort(asRosettaVmError(signal.reason));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  // Closing hangs the program up; the agent kills what does not heed that.
  abort.signal.addEventListener('abort', () => session.close(), { once: true });
  try {
    const [stdout, stderr] = await Promise.all([
      collect(session.stdout),
      collect(session.stderr),
      input === undefined ? undefined : pipeline(input, session.stdin),
    ]);
    const status = await session.exit;
    if (status.code !== 0) throw failed(request, status.error ?? ending(status), stderr);
    return { stdout, stderr };
  } catch (error) {
    throw abort.signal.aborted ? abort.signal.reason : asRosettaVmError(error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    session.close();
  }
}

async function collect(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (length < MAX_OUTPUT_BYTES) chunks.push(chunk);
    length += chunk.length;
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_OUTPUT_BYTES);
}

const ending = ({ code, signal }: { readonly code: number | null; readonly signal: string | null }): string =>
  signal === null ? `It ended with exit status ${code}.` : `It was ended by ${signal}.`;

function failed(request: Pick<ExecRequest, 'argv'>, why: string, stderr: string): RosettaVmError {
  const lines = stderr.trim().split('\n').slice(-5);
  return new RosettaVmError('E_EXEC', {
    what: `${request.argv[0]} failed in the guest.`,
    why: [why, ...lines].join('\n').trim(),
    fix: 'Run the same command again; `rosetta-vm logs` shows what the guest says.',
    facts: { program: request.argv[0] ?? '' },
  });
}

const tooLong = (request: Pick<ExecRequest, 'argv'>, limitMs: number): RosettaVmError =>
  new RosettaVmError('E_TIMEOUT', {
    what: `${request.argv[0]} did not end in the guest.`,
    why: `It was given ${limitMs / 1000} s.`,
    fix: 'Run the same command again with less load on this computer.',
    facts: { program: request.argv[0] ?? '', limitMs },
  });
