/** One exec: a program of the guest joined to a stream of frames (protocol.ts), with backpressure both ways. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants as osConstants } from 'node:os';
import type { Duplex, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeData, encodeFrame, type Frame, FrameDecoder } from '../exec-frames.ts';
import { type ExitStatus, FrameType } from '../protocol.ts';
import type { RunCommand } from './command.ts';
import type { ExecCommand } from './exec-command.ts';
import { invalidRequest } from './http-error.ts';
import type { PartLog } from './log.ts';
import { parseWindowSize, type WindowSize } from './requests.ts';
import type { GuestSettings } from './settings.ts';
import { openTerminal, type Terminal } from './terminal.ts';

/** Between SIGHUP and SIGKILL when the host has gone: time to clean up, as sshd leaves it. */
const HANGUP_GRACE_MS = 5_000;
/** A background child may keep the program's pipes open for ever; after its end only so much silence is waited for. */
const OUTPUT_SILENCE_MS = 500;
/** While the program does not read its stdin we do not read the connection, so only a write can notice that it broke. */
const PROBE_INTERVAL_MS = 5_000;
/** End of transmission, what ^D sends (termios(3), VEOF). */
const END_OF_TRANSMISSION = '\x04';

/** Every program that exec has running, by process group. A restart of the agent ends them: nobody could reach them. */
export class RunningPrograms {
  readonly #groups = new Set<number>();

  add(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return;
    this.#groups.add(pid);
    child.once('exit', () => this.#groups.delete(pid));
  }

  killAll(): void {
    for (const group of this.#groups) signalGroup(group, 'SIGKILL');
  }
}

export interface ExecContext {
  readonly settings: GuestSettings;
  readonly run: RunCommand;
  readonly programs: RunningPrograms;
  readonly log: PartLog;
}

export interface ExecOptions {
  readonly stdin: boolean;
  readonly tty?: WindowSize;
}

/** Runs the program until it and the stream are done. Never throws: what goes wrong is in the exit frame or the log. */
export async function runExec(
  stream: Duplex,
  command: ExecCommand,
  options: ExecOptions,
  context: ExecContext,
): Promise<void> {
  const terminal =
    options.tty === undefined
      ? undefined
      : await openTerminal(options.tty, command.uid ?? 0, context.settings, context.run);
  const child = start(command, options, terminal);
  context.programs.add(child);
  const session = new ExecSession(stream, child, terminal, context.log);
  const status = await session.finished();
  context.log.info('A program ended.', { program: command.program, pid: child.pid ?? null, ...status });
}

function start(command: ExecCommand, options: ExecOptions, terminal: Terminal | undefined): ChildProcess {
  const { program, args, cwd, env, uid, gid } = command;
  return spawn(program, args, {
    cwd,
    env,
    // A session of its own, so that signals reach all of it. On a terminal setsid(1) makes it, together with the tty.
    detached: terminal === undefined,
    stdio:
      terminal === undefined
        ? [options.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe']
        : [terminal.descriptor, terminal.descriptor, terminal.descriptor],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
}

class ExecSession {
  readonly #stream: Duplex;
  readonly #child: ChildProcess;
  readonly #terminal: Terminal | undefined;
  readonly #log: PartLog;
  readonly #decoder = new FrameDecoder();
  readonly #outputs: Readable[] = [];
  readonly #input: Writable | null;
  #ended = false;
  #lastOutput = 0;
  #blocked = false;

  constructor(stream: Duplex, child: ChildProcess, terminal: Terminal | undefined, log: PartLog) {
    this.#stream = stream;
    this.#child = child;
    this.#terminal = terminal;
    this.#log = log;
    this.#input = terminal?.input ?? child.stdin;
    // A program may close its stdin at any time; that is its right and no failure.
    this.#input?.on('error', () => {});
    this.#forwardOutput(terminal?.output ?? child.stdout, FrameType.stdout);
    this.#forwardOutput(child.stderr, FrameType.stderr);
    stream.on('data', (piece: Buffer) => this.#receive(piece));
    stream.on('drain', () => this.#resumeOutput());
    // Both a clean end and a broken connection mean that nobody is there any more.
    stream.once('end', () => this.#hangUp());
    stream.once('close', () => this.#hangUp());
  }

  /** Resolves with the status after it was sent. */
  async finished(): Promise<ExitStatus> {
    const status = await exitStatus(this.#child);
    this.#ended = true;
    this.#terminal?.release();
    await this.#outputDone();
    this.#terminal?.close();
    if (this.#stream.writable) this.#stream.end(encodeFrame(FrameType.exit, JSON.stringify(status)));
    this.#stream.resume();
    return status;
  }

  #forwardOutput(output: Readable | null, type: FrameType): void {
    if (output === null) return;
    this.#outputs.push(output);
    output.on('error', () => {});
    output.on('data', (data: Buffer) => {
      this.#lastOutput = performance.now();
      for (const frame of encodeData(type, data)) this.#blocked = !this.#stream.write(frame) || this.#blocked;
      // What a slow host has not taken stays in the pipe, which then stops the program, not our memory.
      if (this.#blocked) for (const each of this.#outputs) each.pause();
    });
  }

  #resumeOutput(): void {
    this.#blocked = false;
    this.#lastOutput = performance.now();
    for (const output of this.#outputs) output.resume();
  }

  #receive(piece: Buffer): void {
    try {
      for (const frame of this.#decoder.push(piece)) this.#handle(frame);
    } catch (error) {
      this.#log.warn('An exec stream was ended.', { reason: error instanceof Error ? error.message : String(error) });
      this.#stream.destroy();
    }
  }

  #handle({ type, payload }: Frame): void {
    if (type === FrameType.stdin) this.#write(payload);
    else if (type === FrameType.stdinEnd) this.#endInput();
    else if (type === FrameType.resize) this.#resize(parseWindowSize(JSON.parse(payload.toString('utf8'))));
    else if (type === FrameType.signal) this.#signal(signalName(payload.toString('utf8')));
    else throw invalidRequest('frame', 'be one that a host sends');
  }

  #write(data: Buffer): void {
    const input = this.#input;
    if (input === null || !input.writable || input.write(data)) return;
    this.#stream.pause();
    const probe = setInterval(() => this.#stream.write(encodeFrame(FrameType.stdout)), PROBE_INTERVAL_MS);
    const go = (): void => {
      clearInterval(probe);
      input.off('drain', go);
      input.off('close', go);
      this.#stream.off('close', go);
      this.#stream.resume();
    };
    input.on('drain', go);
    input.on('close', go);
    this.#stream.on('close', go);
  }

  #endInput(): void {
    // A terminal has no end; a program that reads it in canonical mode sees one after ^D.
    if (this.#terminal !== undefined) this.#terminal.input.write(END_OF_TRANSMISSION);
    else this.#input?.end();
  }

  #resize(size: WindowSize): void {
    this.#terminal?.resize(size).catch((error: unknown) => {
      this.#log.warn('A terminal was not resized.', { reason: error instanceof Error ? error.message : String(error) });
    });
  }

  /** To the whole process group: the leader has the child's pid (setsid). */
  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid !== undefined && !this.#ended) signalGroup(pid, signal);
  }

  #hangUp(): void {
    if (this.#ended || this.#child.pid === undefined) return;
    this.#signal('SIGHUP');
    // Nobody reads any more; a program that fills its pipe would otherwise sit there until SIGKILL.
    this.#resumeOutput();
    const timer = setTimeout(() => this.#signal('SIGKILL'), HANGUP_GRACE_MS);
    this.#child.once('exit', () => clearTimeout(timer));
  }

  /** Resolves when all output was read, or when only a background process could still write and does not. */
  async #outputDone(): Promise<void> {
    this.#lastOutput = performance.now();
    while (this.#outputs.some((output) => !output.readableEnded && !output.destroyed)) {
      if (!this.#blocked && performance.now() - this.#lastOutput > OUTPUT_SILENCE_MS) break;
      if (this.#stream.destroyed) break;
      await sleep(5);
    }
    for (const output of this.#outputs) output.destroy();
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    // It ended a moment ago, or setsid(1) has not made the group yet.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits for the process; one that could not be started has shell's codes, 126 and 127. */
function exitStatus(child: ChildProcess): Promise<ExitStatus> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (error: NodeJS.ErrnoException) => {
      // After a start an error only says that a signal was not delivered.
      if (child.pid !== undefined) return;
      resolve({ code: error.code === 'ENOENT' ? 127 : 126, signal: null, error: error.message });
    });
  });
}

function signalName(text: string): NodeJS.Signals {
  if (!Object.hasOwn(osConstants.signals, text)) throw invalidRequest('signal', 'be a name such as SIGINT');
  return text as NodeJS.Signals;
}
