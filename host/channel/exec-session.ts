/** A program that runs in the guest, as streams: the host's end of the exec protocol (guest/protocol.ts). */
import { type Duplex, Readable, Writable } from 'node:stream';
import { encodeData, encodeFrame, type Frame, FrameDecoder } from '../../guest/exec-frames.ts';
import { type ExitStatus, FrameType } from '../../guest/protocol.ts';
import { deferred } from '../deferred.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import { asExitStatus, parseJson, protocolError } from './answers.ts';

/**
 * Both outputs come through one connection: whoever wants one of them must read, or `resume()`, the other as well.
 * What is written to stdin after the program has ended is dropped, as a closed pipe would.
 */
export interface ExecSession {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Empty for a program on a terminal. */
  readonly stderr: Readable;
  /** Resolves when the program has ended and its output was received. Rejects with `E_VM_FAILED` or `E_PROTOCOL`. */
  readonly exit: Promise<ExitStatus>;
  /** Characters. */
  resize(size: { readonly columns: number; readonly rows: number }): void;
  /** Sends a signal, by its name, to the program's process group. */
  signal(name: string): void;
  /** Hangs up: the guest ends the program. */
  close(): void;
}

/** Takes over a stream that has switched to the exec protocol. */
export function execSession(stream: Duplex): ExecSession {
  return new FramedSession(stream);
}

class FramedSession implements ExecSession {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exit: Promise<ExitStatus>;
  readonly #stream: Duplex;
  readonly #decoder = new FrameDecoder();
  readonly #exit = deferred<ExitStatus>();
  /** Outputs whose reader is behind: the connection stands still until there is none. */
  readonly #full = new Set<Readable>();
  #ended = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.exit = this.#exit.promise;
    // Whoever asks for `exit` gets the failure; without anybody asking it must not end the process.
    this.exit.catch(() => {});
    this.stdout = this.#output();
    this.stderr = this.#output();
    this.stdin = new Writable({
      write: (chunk: Buffer, _encoding, done) => this.#sendAll(encodeData(FrameType.stdin, chunk), done),
      final: (done) => this.#sendAll([encodeFrame(FrameType.stdinEnd)], done),
    });
    stream.on('data', (piece: Buffer) => this.#receive(piece));
    stream.on('end', () => this.#fail(lost('The connection ended before the program.')));
    stream.on('close', () => this.#fail(lost('The connection was closed before the program ended.')));
    stream.on('error', (error) => this.#fail(lost(error.message)));
  }

  resize(size: { readonly columns: number; readonly rows: number }): void {
    const { columns, rows } = size;
    this.#sendAll([encodeFrame(FrameType.resize, JSON.stringify({ columns, rows }))]);
  }

  signal(name: string): void {
    this.#sendAll([encodeFrame(FrameType.signal, name)]);
  }

  close(): void {
    this.#stream.destroy();
  }

  #output(): Readable {
    const output = new Readable({ read: () => this.#drained(output) });
    // A reader that is not there must not turn a lost connection into an uncaught exception; `exit` tells of it.
    output.on('error', () => {});
    output.on('close', () => this.#drained(output));
    return output;
  }

  #drained(output: Readable): void {
    if (this.#full.delete(output) && this.#full.size === 0) this.#stream.resume();
  }

  /** `done` comes when the last frame has left this process: that is stdin's backpressure. */
  #sendAll(frames: Iterable<Buffer>, done: () => void = () => {}): void {
    const queue = [...frames];
    const last = queue.pop();
    if (last === undefined || this.#ended || !this.#stream.writable) {
      done();
      return;
    }
    for (const frame of queue) this.#stream.write(frame);
    this.#stream.write(last, () => done());
  }

  #receive(piece: Buffer): void {
    try {
      for (const frame of this.#decoder.push(piece)) this.#take(frame);
    } catch (error) {
      this.#fail(asRosettaVmError(error));
      this.#stream.destroy();
    }
  }

  #take({ type, payload }: Frame): void {
    if (this.#ended) throw protocolError('It sent a frame after the exit status.');
    if (type === FrameType.stdout) this.#push(this.stdout, payload);
    else if (type === FrameType.stderr) this.#push(this.stderr, payload);
    else if (type === FrameType.exit) this.#finish(asExitStatus(parseJson(payload.toString('utf8'))));
    else throw protocolError(`It sent a frame of type ${type}, which only the host sends.`);
  }

  #push(output: Readable, payload: Buffer): void {
    // The decoder's buffer is shared by the frames of a piece; a slow reader would keep all of it alive.
    if (output.destroyed || payload.length === 0 || output.push(Buffer.from(payload))) return;
    this.#full.add(output);
    this.#stream.pause();
  }

  #finish(status: ExitStatus): void {
    this.#ended = true;
    this.stdout.push(null);
    this.stderr.push(null);
    this.#exit.resolve(status);
    this.#stream.end();
    this.#stream.destroy();
  }

  #fail(error: RosettaVmError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#exit.reject(error);
    this.stdout.destroy(error);
    this.stderr.destroy(error);
    this.#stream.destroy();
  }
}

function lost(why: string): RosettaVmError {
  return new RosettaVmError('E_VM_FAILED', {
    what: 'The connection to the program in the guest was lost.',
    why,
    fix: '`rosetta-vm status` says whether the machine runs; run the command again.',
  });
}
