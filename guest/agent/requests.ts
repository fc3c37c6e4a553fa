/** What the host may ask, checked by hand (protocol.ts says why) and bounded. Everything here throws `E_INVALID`. */
import type { BootConfig, ExecRequest, TimeRequest, TranslatorName, TranslatorSwitchRequest } from '../protocol.ts';
import {
  type CachePruneRequest,
  type CacheSwitchRequest,
  type DenyAddRequest,
  type DenyFrom,
  type DenyKey,
  type DenyRemoveRequest,
  type DenyRow,
  MAX_DENY_ROWS,
} from '../translation-protocol.ts';
import { invalidRequest } from './http-error.ts';

type Fields = Readonly<Record<string, unknown>>;

const TRANSLATORS: readonly TranslatorName[] = ['box64', 'qemu', 'rosetta'];
/** The kernel's MAX_ARG_STRINGS is far higher; nobody types this many. */
const MAX_ARGUMENTS = 16_384;
/** (uid_t) -1 means "leave unchanged" to setresuid(2), so the largest id is one below. */
const MAX_ID = 0xffff_fffe;
/** struct winsize has unsigned shorts (ioctl_tty(2)). */
const MAX_WINDOW = 0xffff;
const MAX_SAFE_TIME_MS = 4_102_444_800_000; // 2100-01-01

export function parseExecRequest(value: unknown): ExecRequest {
  const fields = record(value, 'body');
  const argv = fields.argv;
  if (
    !Array.isArray(argv) ||
    argv.length === 0 ||
    argv.length > MAX_ARGUMENTS ||
    !argv.every(isArgument) ||
    argv[0] === ''
  ) {
    throw invalidRequest('argv', `be a list of 1 to ${MAX_ARGUMENTS} strings without NUL, the first not empty`);
  }
  if (typeof fields.stdin !== 'boolean') throw invalidRequest('stdin', 'be true or false');
  return {
    argv,
    stdin: fields.stdin,
    ...(fields.env === undefined ? {} : { env: environment(fields.env) }),
    ...(fields.cwd === undefined ? {} : { cwd: absolutePath(fields.cwd, 'cwd') }),
    ...(fields.root === undefined ? {} : { root: absolutePath(fields.root, 'root') }),
    ...(fields.uid === undefined ? {} : { uid: integer(fields.uid, 'uid', 0, MAX_ID) }),
    ...(fields.gid === undefined ? {} : { gid: integer(fields.gid, 'gid', 0, MAX_ID) }),
    ...(fields.tty === undefined ? {} : { tty: terminal(fields.tty) }),
  };
}

export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

export function parseWindowSize(value: unknown): WindowSize {
  const fields = record(value, 'window size');
  return {
    columns: integer(fields.columns, 'columns', 1, MAX_WINDOW),
    rows: integer(fields.rows, 'rows', 1, MAX_WINDOW),
  };
}

export function parseTimeRequest(value: unknown): TimeRequest {
  const { timeMs } = record(value, 'body');
  if (typeof timeMs !== 'number' || !(timeMs > 0) || timeMs > MAX_SAFE_TIME_MS) {
    throw invalidRequest('timeMs', 'be a time between 1970 and 2100 in milliseconds');
  }
  return { timeMs };
}

export function parsePruneRequest(value: unknown): CachePruneRequest {
  const fields = record(value ?? {}, 'body');
  return {
    ...(fields.keepBytes === undefined
      ? {}
      : { keepBytes: integer(fields.keepBytes, 'keepBytes', 0, Number.MAX_SAFE_INTEGER) }),
    ...(fields.olderThanSeconds === undefined
      ? {}
      : { olderThanSeconds: integer(fields.olderThanSeconds, 'olderThanSeconds', 0, Number.MAX_SAFE_INTEGER) }),
    ...(fields.all === undefined ? {} : { all: boolean(fields.all, 'all') }),
    ...(fields.dryRun === undefined ? {} : { dryRun: boolean(fields.dryRun, 'dryRun') }),
  };
}

/** Where a forward leads: a unix socket of the guest, or a TCP port of its loopback interface. */
export type ForwardTarget = { readonly path: string } | { readonly port: number };

/** `?path=/run/docker.sock` or `?port=8080`. */
export function parseForwardTarget(query: URLSearchParams): ForwardTarget {
  const port = query.get('port');
  if (port === null) return { path: absolutePath(query.get('path'), 'path') };
  return { port: portNumber(port) };
}

/** `?port=53`, of UDP. */
export function parseDatagramTarget(query: URLSearchParams): number {
  return portNumber(query.get('port'));
}

function portNumber(text: string | null): number {
  return integer(text !== null && /^\d{1,5}$/.test(text) ? Number(text) : text, 'port', 1, 65_535);
}

export function parseCacheSwitch(value: unknown): CacheSwitchRequest {
  return { enabled: boolean(record(value, 'body').enabled, 'enabled') };
}

export function parseTranslatorSwitch(value: unknown): TranslatorSwitchRequest {
  return { name: translatorName(record(value, 'body').name) };
}

export function parseDenyAdd(value: unknown): DenyAddRequest {
  const fields = record(value, 'body');
  return { ...denyKey(fields), from: denyFrom(fields.from), reason: text(fields.reason, 'reason') };
}

export function parseDenyRemove(value: unknown): DenyRemoveRequest {
  const fields = record(value, 'body');
  return { ...denyKey(fields), ...(fields.from === undefined ? {} : { from: denyFrom(fields.from) }) };
}

/** The deny list's file: on the data disk, so written by this agent, another version, or anybody in the guest. */
export function parseDenyRows(value: unknown): DenyRow[] {
  if (!Array.isArray(value) || value.length > MAX_DENY_ROWS) {
    throw invalidRequest('deny list', `be a list of at most ${MAX_DENY_ROWS} rows`);
  }
  return value.map((row: unknown) => {
    const addedMs = integer(record(row, 'row').addedMs, 'addedMs', 0, Number.MAX_SAFE_INTEGER);
    return { ...parseDenyAdd(row), addedMs };
  });
}

/** A time span in the query of `GET /v1/cache/activity`. */
export function parseTimeSpan(query: URLSearchParams): { readonly sinceMs: number; readonly untilMs: number } {
  const time = (name: string): number => integer(Number(query.get(name) ?? Number.NaN), name, 0, MAX_SAFE_TIME_MS);
  const span = { sinceMs: time('sinceMs'), untilMs: time('untilMs') };
  if (span.untilMs < span.sinceMs) throw invalidRequest('untilMs', 'not be before sinceMs');
  return span;
}

/** `config.json` of the boot share. It comes from the host, but a mixed-up version must not be guessed at. */
export function parseBootConfig(value: unknown): BootConfig {
  const fields = record(value, 'boot configuration');
  if (fields.schemaVersion !== 1) throw invalidRequest('schemaVersion', 'be 1');
  if (typeof fields.token !== 'string' || !/^[0-9a-f]{64}$/.test(fields.token)) {
    throw invalidRequest('token', 'be 64 hexadecimal digits');
  }
  const translator = record(fields.translator, 'translator');
  const cache = record(fields.cache, 'cache');
  const engine = record(fields.engine, 'engine');
  if (!Array.isArray(fields.shares)) throw invalidRequest('shares', 'be a list');
  return {
    schemaVersion: 1,
    token: fields.token,
    machine: text(fields.machine, 'machine'),
    hostVersion: text(fields.hostVersion, 'hostVersion'),
    dataDevice: absolutePath(fields.dataDevice, 'dataDevice'),
    ...(fields.externalData === undefined ? {} : { externalData: externalData(fields.externalData) }),
    translator: {
      name: translatorName(translator.name),
      tag: text(translator.tag, 'translator.tag'),
      ...(translator.socketPath === undefined
        ? {}
        : { socketPath: absolutePath(translator.socketPath, 'translator.socketPath') }),
      ...(translator.preserveArgv0 === undefined
        ? {}
        : { preserveArgv0: boolean(translator.preserveArgv0, 'translator.preserveArgv0') }),
      ...(translator.router === undefined ? {} : { router: boolean(translator.router, 'translator.router') }),
    },
    cache: {
      enabled: boolean(cache.enabled, 'cache.enabled'),
      limitBytes: integer(cache.limitBytes, 'cache.limitBytes', 0, Number.MAX_SAFE_INTEGER),
    },
    engine: {
      enabled: boolean(engine.enabled, 'engine.enabled'),
      buildCacheBytes: integer(engine.buildCacheBytes, 'engine.buildCacheBytes', 0, Number.MAX_SAFE_INTEGER),
    },
    shares: fields.shares.map((value: unknown) => {
      const share = record(value, 'share');
      return {
        tag: text(share.tag, 'share.tag'),
        mountPoint: absolutePath(share.mountPoint, 'share.mountPoint'),
        readOnly: boolean(share.readOnly, 'share.readOnly'),
      };
    }),
  };
}

function externalData(value: unknown): NonNullable<BootConfig['externalData']> {
  const { leastBytes } = record(value, 'externalData');
  return { leastBytes: integer(leastBytes, 'externalData.leastBytes', 0, Number.MAX_SAFE_INTEGER) };
}

/** An absolute path without NUL, at most PATH_MAX (limits.h) bytes with its end. */
export function absolutePath(value: unknown, field: string): string {
  if (typeof value !== 'string' || !value.startsWith('/') || value.includes('\0') || Buffer.byteLength(value) > 4095) {
    throw invalidRequest(field, 'be an absolute path of at most 4095 bytes');
  }
  return value;
}

function environment(value: unknown): Record<string, string> {
  const entries = Object.entries(record(value, 'env'));
  const valid = entries.every(([name, text]) => name !== '' && !/[=\0]/.test(name) && isArgument(text));
  if (!valid) throw invalidRequest('env', 'map names without "=" to strings, neither with NUL');
  return Object.fromEntries(entries) as Record<string, string>;
}

function terminal(value: unknown): NonNullable<ExecRequest['tty']> {
  const { term } = record(value, 'tty');
  if (typeof term !== 'string' || !/^[\w.+-]{1,64}$/.test(term)) {
    throw invalidRequest('tty.term', 'be a terminal type such as xterm-256color');
  }
  return { ...parseWindowSize(value), term };
}

function denyKey({ program, buildId }: Fields): DenyKey {
  if (program === undefined && buildId === undefined) throw invalidRequest('program', 'be given, or buildId');
  // Each row is a line of the router's table.
  if (program !== undefined && /\n/.test(absolutePath(program, 'program'))) {
    throw invalidRequest('program', 'have no line ends');
  }
  if (buildId !== undefined && !(typeof buildId === 'string' && /^(?:[0-9a-f]{2}){1,32}$/.test(buildId))) {
    throw invalidRequest('buildId', 'be 1 to 32 bytes in lower-case hexadecimal digits');
  }
  return {
    ...(program === undefined ? {} : { program: program as string }),
    ...(buildId === undefined ? {} : { buildId: buildId as string }),
  };
}

function denyFrom(value: unknown): DenyFrom {
  return value === 'cache' ? value : translatorName(value);
}

function translatorName(value: unknown): TranslatorName {
  const name = TRANSLATORS.find((known) => known === value);
  if (name === undefined) throw invalidRequest('translator', `be one of ${TRANSLATORS.join(', ')}`);
  return name;
}

function isArgument(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0');
}

function record(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidRequest(field, 'be an object');
  return value as Fields;
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '' || value.length > 255) {
    throw invalidRequest(field, 'be a string of 1 to 255 characters');
  }
  return value;
}

function boolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw invalidRequest(field, 'be true or false');
  return value;
}

function integer(value: unknown, field: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    throw invalidRequest(field, `be a whole number from ${min} to ${max}`);
  }
  return value;
}
