/** The host's side of guest/protocol.ts: one method a request, answers checked, each with a time limit. */
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CacheStatus,
  DATAGRAM_UPGRADE,
  EXEC_UPGRADE,
  type ExecRequest,
  FORWARD_UPGRADE,
  type Health,
  HOLD_UPGRADE,
  type LogLine,
  type TimeRequest,
  type TimeResult,
  type TranslatorStatus,
  type TranslatorSwitchRequest,
} from '../../guest/protocol.ts';
import type {
  CacheActivity,
  CachePruneRequest,
  CachePruneResult,
  CacheStats,
  CacheSwitchRequest,
  CacheVerifyResult,
  DenyAddRequest,
  DenyList,
  DenyRemoveRequest,
  ExecCounts,
} from '../../guest/translation-protocol.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import * as answers from './answers.ts';
import { type ExecSession, execSession } from './exec-session.ts';
import { type Address, askJson, openAnswer, upgrade } from './http.ts';
import { LineSplitter } from './lines.ts';

export type { ExecSession } from './exec-session.ts';

/** Ordinary answers come from memory; an emulated guest that is busy needs seconds. */
const ANSWER_LIMIT_MS = 15_000;
/** Reading (or deleting) a whole cache of many gigabytes, and proving a translator, take longer. */
const LONG_LIMIT_MS = 10 * 60_000;
/** Time for the connection and the switch of protocols; the stream then has no limit. */
const UPGRADE_LIMIT_MS = 30_000;
/** To take back a change: putting the former translator in its place and proving it. */
const RELEASE_LIMIT_MS = 60_000;
const MAX_LOG_LINE_BYTES = 128 * 1024;
/** The agent's own limit for all headers together is 256 KiB (guest/agent/server.ts). */
const MAX_EXEC_HEADER_BYTES = 240 * 1024;
/** Between two looks at a guest that is starting. */
const POLL_MS = 50;

export interface CallOptions {
  /** Ends the call with `E_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  /** Instead of the method's own limit, ms. */
  readonly timeoutMs?: number | undefined;
}

export interface LogOptions {
  /** Go on with what is added. */
  readonly follow?: boolean | undefined;
  /** Ends the log; what was to come is `E_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}

/** A change of the machine that lasts as long as this process wants it. */
export interface Hold {
  /** Resolves when it is taken back. A guest that does not answer does that by itself, as soon as it can. */
  release(): Promise<void>;
}

/**
 * Every method opens a connection of its own. All throw `E_VM_FAILED` (no connection), `E_TIMEOUT`, `E_ABORTED`,
 * `E_PROTOCOL` (an answer that makes no sense), and the code of the agent's own error.
 */
export interface AgentClient {
  health(options?: CallOptions): Promise<Health>;
  cacheStats(options?: CallOptions): Promise<CacheStats>;
  cacheVerify(options?: CallOptions): Promise<CacheVerifyResult>;
  cachePrune(request: CachePruneRequest, options?: CallOptions): Promise<CachePruneResult>;
  cacheSwitch(request: CacheSwitchRequest, options?: CallOptions): Promise<CacheStatus>;
  /** Switches the cache off, whoever else wants it, until the hold is released or this process ends. */
  cacheHoldOff(options?: CallOptions): Promise<Hold>;
  /** Between two times (Unix ms, the guest's clock): see {@link CacheActivity}. */
  cacheActivity(
    span: { readonly sinceMs: number; readonly untilMs: number },
    options?: CallOptions,
  ): Promise<CacheActivity>;
  denyList(options?: CallOptions): Promise<DenyList>;
  /** Throws `E_SIZE` when the list is full. */
  denyAdd(request: DenyAddRequest, options?: CallOptions): Promise<DenyList>;
  /** Throws `E_NOT_FOUND` when there is no such row. */
  denyRemove(request: DenyRemoveRequest, options?: CallOptions): Promise<DenyList>;
  execCounts(options?: CallOptions): Promise<ExecCounts>;
  translatorSwitch(request: TranslatorSwitchRequest, options?: CallOptions): Promise<TranslatorStatus>;
  /** Registers another translator in the same way, until the hold is released or this process ends. */
  translatorHold(request: TranslatorSwitchRequest, options?: CallOptions): Promise<Hold>;
  time(request: TimeRequest, options?: CallOptions): Promise<TimeResult>;
  /** Resolves when the guest has agreed to power off. */
  shutdown(options?: CallOptions): Promise<void>;
  /** Resolves when the agent has agreed to restart itself. */
  restart(options?: CallOptions): Promise<void>;
  /** The log so far, and with `follow` what is added to it, until the loop is left or `signal` aborts. */
  logs(options?: LogOptions): AsyncIterable<LogLine>;
  /** Docker's log in the same way, as text. */
  engineLog(options?: LogOptions): AsyncIterable<Uint8Array>;
  /** Starts a program. One that cannot be started is an exit status with `error`, not a rejection. */
  exec(request: ExecRequest, options?: CallOptions): Promise<ExecSession>;
  /**
   * A raw stream to a unix socket of the guest, or to a TCP port of its loopback interface. Throws `E_NOT_FOUND` when
   * nothing listens there.
   */
  forward(target: { readonly path: string } | { readonly port: number }, options?: CallOptions): Promise<Duplex>;
  /** Datagrams (guest/datagram-frames.ts) to and from a UDP port of the guest's loopback interface. */
  forwardDatagrams(target: { readonly port: number }, options?: CallOptions): Promise<Duplex>;
}

/** Makes a client; nothing is opened before a method is called. */
export function agentClient(address: Address): AgentClient {
  const get = <T>(path: string, check: answers.Guard<T>, options: CallOptions = {}, limitMs = ANSWER_LIMIT_MS) =>
    limited(path, options, limitMs, (signal) => askJson(address, { method: 'GET', path, signal }, check));
  const send = <T>(
    method: 'POST' | 'PUT',
    path: string,
    body: unknown,
    check: answers.Guard<T>,
    options: CallOptions = {},
    limitMs = ANSWER_LIMIT_MS,
  ) => limited(path, options, limitMs, (signal) => askJson(address, { method, path, body, signal }, check));
  const switchTo = (path: string, protocol: string, headers: Record<string, string>, options: CallOptions = {}) =>
    limited(path, options, UPGRADE_LIMIT_MS, (signal) =>
      upgrade(address, { method: 'GET', path, headers, signal }, protocol),
    );
  return {
    health: (options) => get('/v1/health', answers.asHealth, options),
    cacheStats: (options) => get('/v1/cache/stats', answers.asCacheStats, options, LONG_LIMIT_MS),
    cacheVerify: (options) => send('POST', '/v1/cache/verify', {}, answers.asCacheVerifyResult, options, LONG_LIMIT_MS),
    cachePrune: (request, options) =>
      send('POST', '/v1/cache/prune', request, answers.asCachePruneResult, options, LONG_LIMIT_MS),
    cacheSwitch: (request, options) => send('PUT', '/v1/cache', request, answers.asCacheStatus, options),
    cacheHoldOff: async (options) => holdOf(await switchTo('/v1/cache/off', HOLD_UPGRADE, {}, options)),
    cacheActivity: ({ sinceMs, untilMs }, options) =>
      get(
        `/v1/cache/activity?sinceMs=${Math.floor(sinceMs)}&untilMs=${Math.ceil(untilMs)}`,
        answers.asCacheActivity,
        options,
        LONG_LIMIT_MS,
      ),
    denyList: (options) => get('/v1/cache/deny', answers.asDenyList, options),
    denyAdd: (request, options) => send('POST', '/v1/cache/deny', request, answers.asDenyList, options),
    denyRemove: (request, options) => send('POST', '/v1/cache/deny/remove', request, answers.asDenyList, options),
    execCounts: (options) => get('/v1/execs', answers.asExecCounts, options),
    translatorSwitch: (request, options) =>
      send('PUT', '/v1/translator', request, answers.asTranslatorStatus, options, LONG_LIMIT_MS),
    translatorHold: async ({ name }, options) =>
      holdOf(await switchTo(`/v1/translator?name=${name}`, HOLD_UPGRADE, {}, { timeoutMs: LONG_LIMIT_MS, ...options })),
    time: (request, options) => send('POST', '/v1/time', request, answers.asTimeResult, options),
    shutdown: (options) => send('POST', '/v1/shutdown', {}, nothing, options),
    restart: (options) => send('POST', '/v1/restart', {}, nothing, options),
    logs: (options) => readLogs(address, options),
    engineLog: (options) => streamLog(address, '/v1/engine/log', options),
    exec: async (request, options) =>
      execSession(await switchTo('/v1/exec', EXEC_UPGRADE, { 'x-rvm-exec': encodeRequest(request) }, options)),
    forward: (target, options) => {
      const query = 'path' in target ? `path=${encodeURIComponent(target.path)}` : `port=${target.port}`;
      return switchTo(`/v1/forward?${query}`, FORWARD_UPGRADE, {}, options);
    },
    forwardDatagrams: ({ port }, options) => switchTo(`/v1/forward?port=${port}`, DATAGRAM_UPGRADE, {}, options),
  };
}

function holdOf(stream: Duplex): Hold {
  // Nothing comes but the end, also of a connection that is lost.
  stream.resume();
  const ended = finished(stream, { writable: false }).catch(() => {});
  return {
    release: async () => {
      stream.end();
      const timer = setTimeout(() => stream.destroy(), RELEASE_LIMIT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** An answer that says no more than that the request was taken. */
const nothing = (): void => {};

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Named in the error. */
  readonly serialLog: string;
}

/** Asks until the agent answers. Throws `E_TIMEOUT`, `E_ABORTED`, or what a wrong answer means, which waiting cures not. */
export async function waitForAgent(client: AgentClient, options: WaitOptions): Promise<Health> {
  const { timeoutMs, signal, serialLog } = options;
  const deadline = performance.now() + timeoutMs;
  let last = 'It was not asked.';
  for (;;) {
    const left = deadline - performance.now();
    if (left <= 0) throw noAgent(timeoutMs, last, serialLog);
    try {
      return await client.health({ signal, timeoutMs: Math.min(left, ANSWER_LIMIT_MS) });
    } catch (error) {
      const known = asRosettaVmError(error);
      if (known.code !== 'E_VM_FAILED' && known.code !== 'E_TIMEOUT') throw known;
      last = known.why;
    }
    await sleep(POLL_MS);
  }
}

function noAgent(timeoutMs: number, last: string, serialLog: string): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: `The guest's agent did not answer within ${Math.round(timeoutMs / 1000)} s.`,
    why: last,
    fix: `The guest's console is in ${serialLog}.`,
    facts: { timeoutMs, serialLog },
  });
}

async function* readLogs(address: Address, options?: LogOptions): AsyncGenerator<LogLine> {
  const lines = new LineSplitter(MAX_LOG_LINE_BYTES, 'The agent');
  for await (const chunk of streamLog(address, '/v1/logs', options)) {
    for (const line of lines.push(chunk)) yield answers.asLogLine(answers.parseJson(line));
  }
}

async function* streamLog(
  address: Address,
  path: string,
  { follow = false, signal = new AbortController().signal }: LogOptions = {},
): AsyncGenerator<Buffer> {
  const answer = await openAnswer(address, { method: 'GET', path: follow ? `${path}?follow=1` : path, signal });
  try {
    yield* answer as AsyncIterable<Buffer>;
  } catch (error) {
    throw signal.aborted ? asRosettaVmError(new DOMException('', 'AbortError')) : error;
  } finally {
    answer.destroy();
  }
}

/** Runs a call under a limit and the caller's signal; what ends it is told apart. */
async function limited<T>(
  path: string,
  { signal, timeoutMs }: CallOptions,
  limitMs: number,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ms = timeoutMs ?? limitMs;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(timeoutError(path, ms)), ms);
  // Whatever the caller's reason is (AbortSignal.timeout has its own), to us it is the caller's wish.
  const onAbort = (): void => abort.abort(signal?.reason instanceof RosettaVmError ? signal.reason : undefined);
  signal?.addEventListener('abort', onAbort);
  try {
    if (signal?.aborted) onAbort();
    abort.signal.throwIfAborted();
    const aborted = new Promise<never>((_resolve, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason));
    });
    // A `connect` that does not look at its signal must not outlast the limit.
    return await Promise.race([call(abort.signal), aborted]);
  } catch (error) {
    throw asRosettaVmError(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

function timeoutError(path: string, ms: number): RosettaVmError {
  return new RosettaVmError('E_TIMEOUT', {
    what: 'The agent in the guest did not answer in time.',
    why: `${path} took longer than ${ms / 1000} s.`,
    fix: 'The guest may be overloaded: try again. `rosetta-vm logs --boot` shows its console.',
    facts: { path, limitMs: ms },
  });
}

function encodeRequest(request: ExecRequest): string {
  const encoded = Buffer.from(JSON.stringify(request)).toString('base64url');
  if (encoded.length <= MAX_EXEC_HEADER_BYTES) return encoded;
  throw new RosettaVmError('E_SIZE', {
    what: 'The command is too long.',
    why: `With its environment it has ${encoded.length} bytes; ${MAX_EXEC_HEADER_BYTES} can be sent.`,
    fix: 'Put long data into a file or into the standard input.',
    facts: { bytes: encoded.length, limit: MAX_EXEC_HEADER_BYTES },
  });
}
