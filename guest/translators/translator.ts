/**
 * What a translator is to the rest of the guest: data and three small functions. Adding one is a file beside this one
 * and a row in registry.ts.
 */
import type { BootConfig, TranslatorName } from '../protocol.ts';
import type { BinfmtEntry } from './binfmt.ts';

/** A translator that is in the share. */
export interface FoundTranslator {
  readonly name: TranslatorName;
  /** For people. */
  readonly version: string;
  /** Digest (hex) of everything that decides its output; keys the cache. */
  readonly build: string;
  /** Absolute path that the kernel starts. */
  readonly interpreter: string;
}

/** What a process, a chroot or a container needs so that the translator and its cache work in it. */
export interface ProgramEdits {
  readonly mounts: readonly { readonly path: string; readonly readOnly: boolean }[];
  readonly env: Readonly<Record<string, string>>;
}

/** Where the translator finds its cache. */
export interface CacheView {
  readonly enabled: boolean;
  /** Folder as programs see it. */
  readonly mountPoint: string;
}

export interface Translator {
  readonly name: TranslatorName;
  readonly cacheBackend: 'dynacache' | 'rosettad' | 'none';
  /**
   * Where its files are started from. `memory`: a copy of the share, because virtiofs drops a file's pages when it is
   * opened again, so that every exec would read the translator through the device anew (under emulation 0.2 s of the
   * 0.3 s that `true` needs). `share`: the share itself, for a translator that asks the device for its licence.
   */
  readonly startsFrom: 'share' | 'memory';
  /** Looks for it in the folder that it starts from. Throws `E_NOT_FOUND` or `E_INVALID`. */
  find(directory: string): Promise<FoundTranslator>;
  binfmt(found: FoundTranslator, config: BootConfig['translator']): BinfmtEntry;
  edits(found: FoundTranslator, config: BootConfig['translator'], cache: CacheView): ProgramEdits;
}
