/** The agent's HTTP/1.1 server: who may ask, how much, and which handler answers. */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer as createNetServer, type Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { RosettaVmError } from '../../host/errors.ts';
import { linkStream } from '../link.ts';
import { httpError, invalidRequest, UNAUTHORIZED } from './http-error.ts';

const MAX_BODY_BYTES = 1024 * 1024;
/** Holds an exec request with its environment (base64url JSON in a header). */
const MAX_HEADER_BYTES = 256 * 1024;
/** For the request alone: an answer or an upgraded stream may take as long as it needs. */
const REQUEST_TIMEOUT_MS = 30_000;

/** One authorised request. */
export interface Call {
  readonly url: URL;
  /** The parsed JSON body; undefined when there is none. */
  readonly body: unknown;
  readonly response: ServerResponse;
}

/** Answers with a JSON value, or with undefined when it writes the response itself. */
export type Handler = (call: Call) => unknown;

/** One authorised request for an upgrade. What is thrown before `accept` is answered as an error. */
export interface UpgradeCall {
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  /** Switches protocols and hands over the stream, with bytes that came early put back. */
  accept(): Duplex;
}
export type UpgradeHandler = (call: UpgradeCall) => Promise<void>;

export interface Routes {
  /** By method and path, such as `GET /v1/health`. */
  readonly requests: Readonly<Record<string, Handler>>;
  /** By method, path and the protocol that the `Upgrade` header names: `GET /v1/exec rosetta-vm-exec`. */
  readonly upgrades: Readonly<Record<string, UpgradeHandler>>;
}

/** Makes the server; connections come through {@link linkServer}. */
export function createAgentServer(token: string, routes: Routes): Server {
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAlive: false,
  };
  const server = createServer(limits, (request, response) => {
    answer(token, routes, request, response).catch((error: unknown) => sendError(response, error));
  });
  server.maxRequestsPerSocket = 1;
  server.on('upgrade', (request, socket, head) => {
    // Without a listener a connection that resets would end the agent.
    socket.on('error', () => {});
    const call = new PendingUpgrade(request, socket, head);
    switchProtocols(token, routes, request, call).catch((error: unknown) => call.fail(error));
  });
  return server;
}

/** Serves `http` on connections that speak the link protocol; the caller listens and closes both. */
export function linkServer(http: Server): NetServer {
  return createNetServer({ allowHalfOpen: true }, (connection) => {
    const link = linkStream(connection);
    // A connection that is lost ends its request and nothing else.
    link.on('error', () => {});
    http.emit('connection', link);
  });
}

async function answer(
  token: string,
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('Connection', 'close');
  if (!authorised(token, request)) return sendJson(response, UNAUTHORIZED.status, UNAUTHORIZED.body);
  const url = requestUrl(request);
  const handler = routes.requests[`${request.method} ${url.pathname}`];
  if (handler === undefined) throw noRoute(request.method ?? '', url.pathname);
  const body = await readJson(request);
  const value = await handler({ url, body, response });
  if (value !== undefined) sendJson(response, 200, value);
}

async function switchProtocols(
  token: string,
  routes: Routes,
  request: IncomingMessage,
  call: PendingUpgrade,
): Promise<void> {
  if (!authorised(token, request)) return call.refuse(UNAUTHORIZED.status, UNAUTHORIZED.body);
  const handler = routes.upgrades[`${request.method} ${call.url.pathname} ${request.headers.upgrade}`];
  if (handler === undefined) throw noRoute(`${request.method} (${request.headers.upgrade})`, call.url.pathname);
  await handler(call);
}

class PendingUpgrade implements UpgradeCall {
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly #socket: Duplex;
  readonly #head: Buffer;
  #accepted = false;

  constructor(request: IncomingMessage, socket: Duplex, head: Buffer) {
    this.url = requestUrl(request);
    this.headers = request.headers;
    this.#socket = socket;
    this.#head = head;
  }

  accept(): Duplex {
    this.#accepted = true;
    const protocol = this.headers.upgrade;
    this.#socket.write(`HTTP/1.1 101 ${STATUS_CODES[101]}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    if (this.#head.length > 0) this.#socket.unshift(this.#head);
    return this.#socket;
  }

  refuse(status: number, body: unknown): void {
    const text = JSON.stringify(body);
    const headers = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close`;
    this.#socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers}\r\n\r\n${text}`);
  }

  fail(error: unknown): void {
    const { status, body } = httpError(error);
    if (this.#accepted) this.#socket.destroy();
    else this.refuse(status, body);
  }
}

/** Compares in constant time, so that the answer's delay tells nothing about the token. */
function authorised(token: string, request: IncomingMessage): boolean {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function requestUrl(request: IncomingMessage): URL {
  return new URL(request.url?.startsWith('/') ? request.url : '/', 'http://agent');
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) {
      throw new RosettaVmError('E_SIZE', {
        what: 'The request is too large.',
        why: `A body may have ${MAX_BODY_BYTES} bytes.`,
        fix: 'Send less in one request.',
        facts: { limit: MAX_BODY_BYTES },
      });
    }
    pieces.push(piece);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8')) as unknown;
  } catch {
    throw invalidRequest('body', 'be JSON');
  }
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, body } = httpError(error);
  sendJson(response, status, body);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

function noRoute(method: string, path: string): RosettaVmError {
  return new RosettaVmError('E_NOT_FOUND', {
    what: `The agent does not know ${method} ${path}.`,
    why: 'This version of the protocol has no such request.',
    fix: 'Use the same version of rosetta-vm on both sides: `rosetta-vm down`, then `rosetta-vm up`.',
    facts: { method, path },
  });
}
