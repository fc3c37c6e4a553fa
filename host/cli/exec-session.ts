/** A program in the guest on this process's streams: what `exec` and `shell` do. */
import { constants } from 'node:os';
import { pipeline } from 'node:stream/promises';
import type { ExecRequest, ExitStatus } from '../../guest/protocol.ts';
import type { ExecSession } from '../channel/agent-client.ts';
import type { CommandContext } from './context.ts';
import { printable } from './table.ts';

export interface SessionOptions {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
  readonly root?: string | undefined;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Give the program a terminal. */
  readonly tty: boolean;
  /** False: the program finds its input at the end. */
  readonly stdin: boolean;
}

/** What the tool's own failures end with, so that none is taken for the program's, as `docker run` and env(1) do. */
const TOOL_FAILED = 125;

/**
 * Runs a program to its end and sets the exit status: the program's own, 128 + n for a signal, 126 or 127 when it
 * could not be started. When the machine or the connection fails instead it throws, and the status is 125.
 */
export async function runSession(context: CommandContext, machine: string, options: SessionOptions): Promise<void> {
  context.failureStatus = TOOL_FAILED;
  const agent = await (await context.machines()).agent(machine);
  const session = await agent.exec(execRequest(options));
  const release = options.tty ? takeTerminal(session) : forwardSignals(session);
  let status: ExitStatus;
  try {
    status = await connectStreams(session, options.stdin);
  } finally {
    release();
    // Whatever the user typed ahead is nobody's now, and an open stdin would keep the process.
    process.stdin.destroy();
  }
  if (status.error !== undefined) context.tell(`rosetta-vm: ${printable(status.error)}\n`);
  context.exitStatus = exitCode(status);
}

function execRequest({ argv, env, cwd, root, user, tty, stdin }: SessionOptions): ExecRequest {
  return {
    argv,
    stdin,
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(root === undefined ? {} : { root }),
    ...(user === undefined ? {} : user),
    ...(tty ? { tty: { ...terminalSize(), term: process.env.TERM ?? 'xterm' } } : {}),
  };
}

/** The size of a VT100 stands in when stdout is no terminal, or one that was never given a size (0 by 0). */
const terminalSize = (): { columns: number; rows: number } => ({
  columns: process.stdout.columns || 80,
  rows: process.stdout.rows || 24,
});

/** Joins the streams; resolves when the program has ended and all it wrote is out. */
async function connectStreams(session: ExecSession, withStdin: boolean): Promise<ExitStatus> {
  // The program may end without reading all of its input: that is its right.
  session.stdin.on('error', () => {});
  if (withStdin) process.stdin.pipe(session.stdin);
  else session.stdin.end();
  const [exit, ...outputs] = await Promise.allSettled([
    session.exit,
    pipeline(session.stdout, process.stdout, { end: false }),
    pipeline(session.stderr, process.stderr, { end: false }),
  ]);
  process.stdin.unpipe(session.stdin);
  // A lost connection fails all three: the session's own error says why.
  if (exit.status === 'rejected') throw exit.reason;
  for (const output of outputs) if (output.status === 'rejected') throw output.reason;
  return exit.value;
}

/**
 * Raw mode: keys, Ctrl-C among them, go to the guest's terminal as they are. The local one is given back on every way
 * out; a signal that ends this process closes the connection, which hangs the guest's terminal up.
 */
function takeTerminal(session: ExecSession): () => void {
  const restore = (): void => {
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  };
  const resize = (): void => session.resize(terminalSize());
  const end = (name: NodeJS.Signals): void => process.exit(128 + constants.signals[name]);
  if (process.stdin.isTTY) process.stdin.setRawMode(true);
  process.on('exit', restore);
  process.on('SIGTERM', end);
  process.on('SIGHUP', end);
  process.stdout.on('resize', resize);
  return () => {
    restore();
    process.off('exit', restore);
    process.off('SIGTERM', end);
    process.off('SIGHUP', end);
    process.stdout.off('resize', resize);
  };
}

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Without a terminal in the guest, signals are sent on: the program decides what they mean (SIGQUIT still ends us). */
function forwardSignals(session: ExecSession): () => void {
  const forward = (name: NodeJS.Signals): void => session.signal(name);
  for (const name of FORWARDED) process.on(name, forward);
  return () => {
    for (const name of FORWARDED) process.off(name, forward);
  };
}

/** As shells count: 128 + the signal's number. */
function exitCode({ code, signal }: ExitStatus): number {
  if (code !== null) return code;
  return 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
}
