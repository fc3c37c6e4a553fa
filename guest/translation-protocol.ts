/**
 * What the agent says of translation: the cache's entries, the deny list, and which translator programs were started in. The
 * rest of what host and guest say to each other is in protocol.ts.
 */
import type { CacheStatus, TranslatorName } from './protocol.ts';

/** `GET /v1/cache/stats` */
export interface CacheStats extends CacheStatus {
  readonly directory: string;
  /** Translator build that keys the folder. */
  readonly build: string;
  readonly entries: number;
  readonly bytes: number;
  readonly limitBytes: number;
  /** Unix ms of the oldest and newest entry. */
  readonly oldestMs?: number;
  readonly newestMs?: number;
  /** Per program, largest first; at most 1,000 rows. */
  readonly programs: readonly {
    readonly name: string;
    readonly entries: number;
    readonly bytes: number;
    readonly newestMs: number;
  }[];
}

/** `POST /v1/cache/verify` */
export interface CacheVerifyResult {
  readonly checked: number;
  readonly corrupt: readonly {
    readonly entry: string;
    readonly reason: string;
  }[];
}

/** `POST /v1/cache/prune` with {@link CachePruneRequest} */
export interface CachePruneRequest {
  /** Keep at most this many bytes, the newest first; absent: the machine's limit. */
  readonly keepBytes?: number;
  /** Remove entries older than this many seconds. */
  readonly olderThanSeconds?: number;
  readonly all?: boolean;
  readonly dryRun?: boolean;
}
export interface CachePruneResult {
  readonly removedEntries: number;
  readonly removedBytes: number;
  readonly removedCorrupt: number;
  readonly remainingEntries: number;
  readonly remainingBytes: number;
  readonly dryRun: boolean;
}

/** `PUT /v1/cache` with {@link CacheSwitchRequest}: off and on without a reboot. */
export interface CacheSwitchRequest {
  readonly enabled: boolean;
}

/** What a program can be kept from: a translator, or the cache alone. */
export type DenyFrom = TranslatorName | 'cache';

/** Names a program by its absolute path in its own root, by its build-id (hexadecimal), or by both: then both must fit. */
export interface DenyKey {
  readonly program?: string;
  readonly buildId?: string;
}

/** One row of the deny list, which is on the data disk. */
export interface DenyRow extends DenyKey {
  readonly from: DenyFrom;
  readonly reason: string;
  /** Unix ms. */
  readonly addedMs: number;
}

/**
 * `GET /v1/cache/deny`. `POST /v1/cache/deny` with a {@link DenyAddRequest} and `POST /v1/cache/deny/remove` with a
 * {@link DenyRemoveRequest} answer with the list as it then is. It counts from the next exec on.
 */
export interface DenyList {
  readonly rows: readonly DenyRow[];
}
/** A row with the same key and `from` is replaced. */
export interface DenyAddRequest extends DenyKey {
  readonly from: DenyFrom;
  readonly reason: string;
}
/** Removes every row with this key; without `from`, whatever it is kept from. `E_NOT_FOUND` when there is none. */
export interface DenyRemoveRequest extends DenyKey {
  readonly from?: DenyFrom;
}
/**
 * Most rows of the deny list: the router reads all of them at every exec. Its table holds 256 (guest/router/table.h), of which
 * eight are left for what translators are known to fail with.
 */
export const MAX_DENY_ROWS = 248;

/**
 * Why the router chose a translator. `default`: the first of the table. `libc`: the first cannot run a program that is
 * static or of another C library. `isa`: it lacks an instruction set that the program says it needs. `layout`: it would
 * map the program's segments over each other. `deny`: the deny list. `environment`: ROSETTA_VM_TRANSLATOR. `failed`: the
 * one that was chosen could not be started.
 */
export const CHOICE_REASONS = ['default', 'libc', 'isa', 'layout', 'deny', 'environment', 'failed'] as const;
export type ChoiceReason = (typeof CHOICE_REASONS)[number];

/** `GET /v1/execs`: x86_64 programs that were started through the router since the translators were loaded. */
export interface ExecCounts {
  /** False where the translator is registered directly (rosetta): then nobody counts, and no row of the deny list does. */
  readonly counted: boolean;
  readonly translators: readonly {
    readonly name: TranslatorName;
    readonly execs: number;
    readonly reasons: Readonly<Record<ChoiceReason, number>>;
  }[];
}

/**
 * `GET /v1/cache/activity?sinceMs=&untilMs=`, Unix ms of the guest's clock: which entries were written and which only
 * read in that time. A process that writes an entry anew counts as new. An entry that was read again later counts for
 * the later time alone, so ask soon after `untilMs`.
 */
export interface CacheActivity extends CacheStatus {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly newEntries: number;
  readonly newBytes: number;
  readonly reusedEntries: number;
  /** Per program, most entries first; at most 1,000 rows. */
  readonly programs: readonly {
    readonly name: string;
    readonly newEntries: number;
    readonly newBytes: number;
    readonly reusedEntries: number;
  }[];
}
