/** box64: glibc programs, with a cache of translations on disk (DynaCache, from 0.4). */
import { cpus } from 'node:os';
import { x86_64Entry } from './binfmt.ts';
import { findInManifest } from './manifest.ts';
import type { Translator } from './translator.ts';

/**
 * Only F. P would hand box64 an extra argument that it takes for the program's. C and the O in it make the kernel leave
 * an open descriptor to the program (AT_EXECFD), which box64 neither uses nor closes, so every x86_64 process and its
 * children would start with a stray descriptor 3; what C gives, set-uid programs, box64 loses anyway at the next exec,
 * which it does itself.
 */
const FLAGS = 'F';

export const box64: Translator = {
  name: 'box64',
  cacheBackend: 'dynacache',
  startsFrom: 'memory',
  find: (share) => findInManifest(share, 'box64'),
  binfmt: (found) => x86_64Entry('rvm-box64', found.interpreter, FLAGS),
  edits: (found, _config, cache) => ({
    mounts: [
      { path: found.interpreter.replace(/\/[^/]*$/, ''), readOnly: true },
      { path: cache.mountPoint, readOnly: false },
    ],
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
  }),
};
