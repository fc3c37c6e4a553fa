/** HTTP/1.1 over a stream that somebody else opened: one connection a request, every answer bounded. */
import { type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { linkStream } from '../../guest/link.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import { agentError, type Guard, parseJson, protocolError } from './answers.ts';

/** `cache verify` of a ruined cache is the longest answer: about 200 bytes an entry. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;

/** Opens a connection to the agent's port, on which the link protocol (guest/link.ts) is then spoken. */
export type Connect = (signal?: AbortSignal) => Promise<Duplex>;

export interface Address {
  readonly connect: Connect;
  /** Of this boot (guest/protocol.ts, BootConfig). */
  readonly token: string;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** With the query. */
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the call, and with it the connection. */
  readonly signal: AbortSignal;
}

/** Asks and reads a JSON answer. Throws `E_AGENT` (or the agent's own code), `E_PROTOCOL`, `E_VM_FAILED`, `E_ABORTED`. */
export async function askJson<T>(address: Address, call: Call, check: Guard<T>): Promise<T> {
  return check(parseJson(await readText(await openAnswer(address, call), MAX_ANSWER_BYTES)));
}

/** Asks and hands over the answer's stream when its status is good; the caller reads it to its end or destroys it. */
export async function openAnswer(address: Address, call: Call): Promise<IncomingMessage> {
  const reply = await exchange(address, call);
  if (reply.stream === undefined) return reply.answer;
  reply.stream.destroy();
  throw protocolError('It switched protocols without being asked to.');
}

/** Asks for another protocol (`Upgrade`) and hands over the stream, with bytes that came early put back. */
export async function upgrade(address: Address, call: Call, protocol: string): Promise<Duplex> {
  const headers = { ...call.headers, Connection: 'Upgrade', Upgrade: protocol };
  const { answer, stream } = await exchange(address, { ...call, headers });
  if (stream !== undefined) return stream;
  answer.destroy();
  throw protocolError(`It answered with status ${answer.statusCode} instead of switching to ${protocol}.`);
}

interface Reply {
  readonly answer: IncomingMessage;
  /** Present when the agent switched protocols. */
  readonly stream?: Duplex;
}

/** Sends a request and waits for the answer's head. A status of 400 and above throws. */
async function exchange(address: Address, call: Call): Promise<Reply> {
  const { signal } = call;
  signal.throwIfAborted();
  const connection = await address.connect(signal).catch((error: unknown) => {
    throw unreachable(error);
  });
  const stream = linkStream(connection);
  const reply = await send(stream, address.token, call).catch((error: unknown) => {
    stream.destroy();
    throw signal.aborted ? signal.reason : unreachable(error);
  });
  const status = reply.answer.statusCode ?? 0;
  if (status >= 400) throw agentError(status, await readText(reply.answer, MAX_ERROR_BYTES));
  return reply;
}

function send(stream: Duplex, token: string, { method, path, body, headers, signal }: Call): Promise<Reply> {
  const text = body === undefined ? '' : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request({
      method,
      path,
      headers: {
        Host: 'agent',
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        'Content-Length': Buffer.byteLength(text),
        ...headers,
      },
      createConnection: () => stream,
      signal,
    });
    sent.on('error', reject);
    sent.on('response', (answer) => resolve({ answer }));
    sent.on('upgrade', (answer, upgraded, head) => {
      if (head.length > 0) upgraded.unshift(head);
      resolve({ answer, stream: upgraded });
    });
    sent.end(text);
  });
}

async function readText(answer: IncomingMessage, limit: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > limit) throw protocolError(`Its answer is longer than ${limit} bytes.`);
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof RosettaVmError ? error : unreachable(error);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** A connection that could not be made or was lost. */
function unreachable(error: unknown): RosettaVmError {
  const known = asRosettaVmError(error);
  if (known.code !== 'E_INTERNAL') return known;
  return new RosettaVmError('E_VM_FAILED', {
    what: 'The agent in the guest cannot be reached.',
    why: reasonOf(error),
    fix: '`rosetta-vm status` says whether the machine runs; `rosetta-vm logs --boot` shows its console.',
    cause: error,
  });
}

/** The host process hangs up on its clients where the guest does not answer it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const lost = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
  return lost ? `The guest did not answer, or ended the connection (${error.message}).` : error.message;
}
