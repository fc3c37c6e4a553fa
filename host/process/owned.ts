/**
 * A child process that has an owner, a log and an end. It leads a process group of its own, so that Ctrl-C in the
 * owner's terminal does not reach it and so that what it forked (virtiofsd's sandbox does) ends with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** What to run. `argv[0]` is a path; no shell looks at it. */
export interface ProcessCommand {
  /** For people, such as `qemu` or `virtiofsd rvm-boot`. */
  readonly name: string;
  readonly argv: readonly string[];
  /** File that takes stdout and stderr, mode 0600, written anew, at most {@link MAX_LOG_BYTES}. */
  readonly log: string;
  /** Words after which it is of no use although it lives on: it is killed then, so that its owner hears of it. */
  readonly fatal?: RegExp;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A helper that repeats one complaint for ever must not fill the disk. */
export const MAX_LOG_BYTES = 1024 * 1024;
/** What errors quote. */
const TAIL_LINES = 12;
const TAIL_BYTES = 4096;
/** How long SIGKILL may take: only a process stuck in the kernel (dead network disk) needs more than a moment. */
const KILL_LIMIT_MS = 5_000;

export class OwnedProcess {
  readonly command: ProcessCommand;
  /** Settles when the leader has ended; never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  #exit: ProcessExit | undefined;
  #tail = '';
  #gaveUp = false;

  private constructor(command: ProcessCommand, env: NodeJS.ProcessEnv) {
    const [program = '', ...rest] = command.argv;
    this.command = command;
    const log = createWriteStream(command.log, { mode: 0o600 });
    // The log is a convenience: what matters of it is kept in memory, so a full disk must not take the machine down.
    log.on('error', () => {});
    this.#child = spawn(program, rest, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#record(log);
    this.exited = new Promise((resolve) => {
      const settle = (exit: ProcessExit): void => {
        this.#exit ??= exit;
        log.end();
        resolve(this.#exit);
      };
      this.#child.once('error', (error) => {
        this.#tail += `${error.message}\n`;
        settle({ code: 127, signal: null });
      });
      // "close" comes after the pipes' last bytes, "exit" does not: only then is the tail complete.
      this.#child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        // A grandchild may hold the pipes open; the reason of the exit is in them by now or never.
        setTimeout(() => settle({ code, signal }), 200).unref();
      });
      this.#child.once('close', (code, signal) => settle({ code, signal }));
    });
  }

  /** Starts it. A program that cannot be started is a process that has exited with 127. */
  static start(command: ProcessCommand, env: NodeJS.ProcessEnv = process.env): OwnedProcess {
    return new OwnedProcess(command, env);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Undefined while it runs. */
  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** Whether it wrote {@link ProcessCommand.fatal} words, and was killed for them. */
  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  /** The last lines that it wrote, for an error's text. */
  get tail(): string {
    return this.#tail.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  }

  /** Kills the whole group; resolves when none of it is left (or after a limit, when the kernel holds one). */
  async kill(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    const deadline = performance.now() + KILL_LIMIT_MS;
    while (signalGroup(pid) && performance.now() < deadline) await sleep(5);
    if (performance.now() < deadline) await this.exited;
  }

  #record(log: WriteStream): void {
    let left = MAX_LOG_BYTES;
    const take = (chunk: Buffer): void => {
      this.#tail = (this.#tail + chunk.toString('utf8')).slice(-TAIL_BYTES);
      if (!this.#gaveUp && this.command.fatal?.test(this.#tail) === true) {
        this.#gaveUp = true;
        void this.kill();
      }
      if (left <= 0 || log.destroyed) return;
      log.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) log.write('\n[the log ends here: its size limit was reached]\n');
    };
    this.#child.stdout?.on('data', take);
    this.#child.stderr?.on('data', take);
  }
}

/** Sends SIGKILL to a group; false when nobody is left in it. */
function signalGroup(leader: number): boolean {
  try {
    return process.kill(-leader, 'SIGKILL');
  } catch {
    return false;
  }
}
