/**
 * What a translator is to the rest of the guest: data and two or three small functions. Adding one is a file beside this one
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
  /** Absolute path of its program. */
  readonly interpreter: string;
}

/** What a process, a chroot or a container needs so that the translator and its cache work in it. */
export interface ProgramEdits {
  readonly mounts: readonly { readonly path: string; readonly readOnly: boolean }[];
  readonly env: Readonly<Record<string, string>>;
  /** Behind the router, what a program gets in place of that when its translations are likely all in the cache. */
  readonly settledEnv?: Readonly<Record<string, string>>;
  /** Folders below the user's home that translated programs leave; a container's are removed when it has ended. */
  readonly scratch?: readonly string[];
}

/** Where the translator finds its cache. */
export interface CacheView {
  readonly enabled: boolean;
  /** Folder as programs see it. */
  readonly mountPoint: string;
}

/** How a translator comes to a program. */
export type Start =
  /**
   * The kernel starts the router (guest/router/), which starts the translator: for each program the first that can run
   * it. Only for translators that get all they need through a second exec.
   *
   * Their files are a copy of the share in memory, because virtiofs drops a file's pages when it is opened again, so
   * that every exec would read the translator through the device anew (under emulation 0.2 s of the 0.3 s that `true`
   * needs).
   */
  | {
      readonly by: 'router';
      /** How it is told the program's path and argv[0]; `plain`: the path alone. */
      readonly calling: 'box64' | 'qemu' | 'plain';
      /** Which programs it can run: those of glibc's loader, or every one. */
      readonly libc: 'glibc' | 'any';
      /** Highest level of the x86-64 psABI that it has the instructions of, 1 to 4. */
      readonly isaLevel: number;
      /** What keeps a single program from the cache. */
      readonly withoutCache: Readonly<Record<string, string>>;
      /** Paths, in whichever root, of programs that it fails with: the next one gets them. At most eight of all. */
      readonly failsWith?: readonly string[];
    }
  /** The kernel starts it itself, from the share: Rosetta asks the share's device for its licence. */
  | { readonly by: 'kernel'; binfmt(found: FoundTranslator, config: BootConfig['translator']): BinfmtEntry };

export interface Translator {
  readonly name: TranslatorName;
  readonly cacheBackend: 'dynacache' | 'rosettad' | 'none';
  readonly start: Start;
  /** Where its files are: the image's share, of which the router starts a copy in memory, or Apple's, used as it is. */
  readonly share: 'image' | 'apple';
  /** Looks for it in the folder that it starts from. Throws `E_NOT_FOUND` or `E_INVALID`. */
  find(directory: string): Promise<FoundTranslator>;
  /** Beside the folder that it starts from. The router sets the variables by itself where they are absent. */
  edits(found: FoundTranslator, config: BootConfig['translator'], cache: CacheView): ProgramEdits;
}
