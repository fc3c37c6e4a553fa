/** box64: glibc programs, with a cache of translations on disk (DynaCache, from 0.4). */
import { cpus } from 'node:os';
import { findInManifest } from './manifest.ts';
import type { Translator } from './translator.ts';

export const box64: Translator = {
  name: 'box64',
  share: 'image',
  cacheBackend: 'dynacache',
  find: (share) => findInManifest(share, 'box64'),
  start: {
    by: 'router',
    calling: 'box64',
    // It stands in for glibc: what does not use glibc's loader it cannot run.
    libc: 'glibc',
    // AVX2, BMI and FMA are translated; AVX-512 is not (docs/USAGE.md, BOX64_AVX).
    isaLevel: 3,
    withoutCache: { BOX64_DYNACACHE: '0' },
    // GNU make gives glob(3) functions of its own to read folders with (GLOB_ALTDIRFUNC), and box64 gives them to the
    // arm64 glob as they are (0.4.3 and later, src/wrapped/wrappedlibc.c, my_glob64): SIGILL at the first `*` in a makefile.
    failsWith: ['/usr/bin/make', '/usr/bin/gmake', '/usr/local/bin/make', '/usr/local/bin/gmake'],
  },
  edits: (_found, _config, cache) => ({
    mounts: cache.enabled ? [{ path: cache.mountPoint, readOnly: false }] : [],
    env: {
      // Without these box64 runs lscpu through /bin/sh, which in an x86_64 root is an x86_64 program: it starts box64,
      // which runs lscpu, without end (box64: src/os/sysinfo.c).
      BOX64_SYSINFO_CACHED: '1',
      BOX64_SYSINFO_NCPU: String(cpus().length),
      BOX64_SYSINFO_CPUNAME: 'arm64',
      BOX64_SYSINFO_FREQUENCY: '2000000000',
      // Its banner and warnings on stderr would mix with the program's own.
      BOX64_LOG: '0',
      BOX64_NOBANNER: '1',
      // The share has glibc alone. For every other library box64 would look for an arm64 one first, and say on the
      // program's stderr that there is none, at any log level (src/librarian/library.c).
      BOX64_PREFER_EMULATED: '1',
      // Returns go straight to the translated caller, where x86_64's return address agrees, rather than through the
      // jump table; 2 also holds for blocks whose code was changed (box64: docs/USAGE.md). What is read from the cache is
      // smaller, by a third in one comparison; warm starts of perl and python3 took 1.3 to 1.5 times as long without it.
      // With no cache, python3 gains less and perl nothing.
      BOX64_DYNAREC_CALLRET: '2',
      ...(cache.enabled
        ? {
            BOX64_DYNACACHE: '1',
            BOX64_DYNACACHE_FOLDER: cache.mountPoint,
            // KiB of code below which it writes nothing; by default small programs, the ones run most, are left out.
            BOX64_DYNACACHE_MIN: '1',
            // Files are mapped as they are when they are not compressed.
            BOX64_DYNACACHE_COMPRESS: '0',
            // The agent keeps the limit; box64 would list the whole folder at every program's end.
            BOX64_DYNACACHE_LIMIT: '0',
          }
        : { BOX64_DYNACACHE: '0' }),
    },
    // Reads the cache and writes nothing.
    ...(cache.enabled ? { settledEnv: { BOX64_DYNACACHE: '2' } } : {}),
  }),
};
