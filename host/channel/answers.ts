/**
 * The shapes of the agent's answers (guest/protocol.ts), checked on arrival: the guest runs other people's programs as
 * root, so what it says is no more trusted than a file from the network. Texts are bounded, unknown keys dropped.
 */
import { z } from 'zod';
import type { CacheStatus, ExitStatus, Health, LogLine, TimeResult, TranslatorStatus } from '../../guest/protocol.ts';
import {
  type CacheActivity,
  type CachePruneResult,
  type CacheStats,
  type CacheVerifyResult,
  CHOICE_REASONS,
  type DenyList,
  type ExecCounts,
  MAX_DENY_ROWS,
} from '../../guest/translation-protocol.ts';
import { RosettaVmError } from '../errors.ts';

const text = z.string().max(4096);
/** A count or a size. */
const size = z.number().nonnegative().max(Number.MAX_SAFE_INTEGER);
const time = z.number().finite();

const cacheStatus = z.object({
  backend: z.enum(['dynacache', 'rosettad', 'none']),
  state: z.enum(['starting', 'on', 'off', 'failed']),
  reason: text.exactOptional(),
});

const translatorName = z.enum(['box64', 'qemu', 'rosetta']);
const translatorStatus = z.object({
  state: z.enum(['starting', 'ready', 'failed']),
  wanted: translatorName,
  active: z
    .object({
      name: translatorName,
      version: text,
      build: text,
      interpreter: text,
      program: text,
      flags: text,
      proved: z.boolean(),
    })
    .exactOptional(),
  fallbacks: z
    .array(z.object({ name: translatorName, version: text }))
    .max(16)
    .exactOptional(),
  removedHandlers: z.array(text).max(1000),
  reason: text.exactOptional(),
});

const health = z.object({
  protocol: size,
  agentVersion: text,
  machine: text,
  uptimeSeconds: size,
  kernel: text,
  timeMs: time,
  memory: z.object({ totalBytes: size, availableBytes: size }),
  dataDisk: z.object({
    state: z.enum(['mounting', 'ready', 'failed']),
    reason: text.exactOptional(),
    totalBytes: size.exactOptional(),
    freeBytes: size.exactOptional(),
  }),
  translator: translatorStatus,
  cache: cacheStatus,
  engine: z.object({
    state: z.enum(['starting', 'ready', 'failed', 'off']),
    version: text.exactOptional(),
    restarts: size,
    reason: text.exactOptional(),
  }),
});

const cacheStats = cacheStatus.extend({
  directory: text,
  build: text,
  entries: size,
  bytes: size,
  limitBytes: size,
  oldestMs: time.exactOptional(),
  newestMs: time.exactOptional(),
  programs: z.array(z.object({ name: text, entries: size, bytes: size, newestMs: time })).max(1000),
});

const cacheVerify = z.object({
  checked: size,
  corrupt: z.array(z.object({ entry: text, reason: text })),
});

const cacheActivity = cacheStatus.extend({
  sinceMs: time,
  untilMs: time,
  newEntries: size,
  newBytes: size,
  reusedEntries: size,
  programs: z.array(z.object({ name: text, newEntries: size, newBytes: size, reusedEntries: size })).max(1000),
});

const denyList = z.object({
  rows: z
    .array(
      z.object({
        program: text.exactOptional(),
        buildId: text.exactOptional(),
        from: z.enum([...translatorName.options, 'cache']),
        reason: text,
        addedMs: time,
      }),
    )
    .max(MAX_DENY_ROWS),
});

const execCounts = z.object({
  counted: z.boolean(),
  translators: z
    .array(z.object({ name: translatorName, execs: size, reasons: z.record(z.enum(CHOICE_REASONS), size) }))
    .max(16),
});

const cachePrune = z.object({
  removedEntries: size,
  removedBytes: size,
  removedCorrupt: size,
  remainingEntries: size,
  remainingBytes: size,
  dryRun: z.boolean(),
});

const timeResult = z.object({ skewMs: time, corrected: z.boolean() });

const exitStatus = z.object({
  code: z.int().min(0).max(255).nullable(),
  signal: z.string().max(32).nullable(),
  error: text.exactOptional(),
});

const logLine = z.object({
  timeMs: time,
  level: z.enum(['debug', 'info', 'warn', 'error']),
  part: text,
  message: z.string().max(64 * 1024),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).exactOptional(),
});

/** Turns unknown JSON into the type, or throws `E_PROTOCOL`. */
export type Guard<T> = (value: unknown) => T;

export const asHealth: Guard<Health> = guard('health', health);
export const asTranslatorStatus: Guard<TranslatorStatus> = guard('translator status', translatorStatus);
export const asCacheStatus: Guard<CacheStatus> = guard('cache status', cacheStatus);
export const asCacheStats: Guard<CacheStats> = guard('cache statistics', cacheStats);
export const asCacheVerifyResult: Guard<CacheVerifyResult> = guard('result of the check', cacheVerify);
export const asCachePruneResult: Guard<CachePruneResult> = guard('result of the pruning', cachePrune);
export const asCacheActivity: Guard<CacheActivity> = guard('activity of the cache', cacheActivity);
export const asDenyList: Guard<DenyList> = guard('deny list', denyList);
export const asExecCounts: Guard<ExecCounts> = guard('counts of programs', execCounts);
export const asTimeResult: Guard<TimeResult> = guard('result of setting the time', timeResult);
export const asExitStatus: Guard<ExitStatus> = guard('exit status', exitStatus);
export const asLogLine: Guard<LogLine> = guard('log line', logLine);

function guard<T>(what: string, schema: z.ZodType<T>): Guard<T> {
  return (value) => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    throw protocolError(`Its ${what} is not valid at "${issue?.path.join('.') ?? ''}": ${issue?.message ?? ''}.`);
  };
}

/** JSON of the guest as a value. Throws `E_PROTOCOL`. */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw protocolError('What it sent is not JSON.');
  }
}

export function protocolError(why: string): RosettaVmError {
  return new RosettaVmError('E_PROTOCOL', {
    what: 'The agent in the guest gave an answer that cannot be used.',
    why,
    fix: 'Use the same version of rosetta-vm on both sides: `rosetta-vm down`, then `rosetta-vm up`.',
  });
}

const errorBody = z.object({
  error: z.object({ code: text, what: text, why: text, fix: text }),
});

/** The error that an answer with a status of 400 and above stands for. */
export function agentError(status: number, body: string): RosettaVmError {
  const parsed = errorBody.safeParse(parseJson(body));
  if (!parsed.success) return protocolError(`It answered with status ${status} and without a reason.`);
  const { code, ...parts } = parsed.data.error;
  const known = RosettaVmError.fromJSON({ code, ...parts });
  if (known.code === code) return known;
  return new RosettaVmError('E_AGENT', { ...parts, facts: { agentCode: code, status } });
}
