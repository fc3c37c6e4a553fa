/** What a cache of translations is to the rest of the guest. One folder a backend and translator build. */
import type { PartLog } from '../agent/log.ts';

export interface CacheEntry {
  /** Name in the folder. */
  readonly file: string;
  readonly bytes: number;
  /** Unix ms of the last write or, where the backend tells it, the last use. */
  readonly usedMs: number;
}

/** What serves the folder, when programs do not write to it themselves. */
export interface CacheServer {
  stop(): Promise<void>;
}

export interface ServeOptions {
  /** The cache's folder. */
  readonly directory: string;
  /** The mounted translator share. */
  readonly shareDirectory: string;
  /** The socket that programs connect to, as configured on the host. */
  readonly socketPath: string;
  readonly log: PartLog;
  /** Shows a folder as that of {@link socketPath}, for as long as the cache is attached. May be called again. */
  expose(directory: string): Promise<void>;
  /** Called when programs cannot connect any more, with the reason, and when they can again. */
  onDown(reason: string): Promise<void>;
  onUp(): Promise<void>;
}

export interface CacheBackend {
  readonly name: 'dynacache' | 'rosettad';
  /** Mode of the folder: who may write translations. */
  readonly directoryMode: number;
  /** True for the name of a finished entry. */
  isEntry(file: string): boolean;
  /** True for the name of what an interrupted write left. */
  isLeftover(file: string): boolean;
  /** Name of the program that an entry belongs to, for people. */
  programOf(directory: string, file: string): Promise<string>;
  /** Why an entry cannot be used; undefined when it is whole. */
  check(directory: string, entry: CacheEntry): Promise<string | undefined>;
  /** Resolves with a server that programs can reach, or that told `onDown` and goes on trying. */
  serve?(options: ServeOptions): Promise<CacheServer>;
}
