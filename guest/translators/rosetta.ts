/** Apple's Rosetta for Linux, from the share that Virtualization.framework provides (VZLinuxRosettaDirectoryShare). */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { RosettaVmError } from '../../host/errors.ts';
import { x86_64Entry } from './binfmt.ts';
import type { Translator } from './translator.ts';

/** The translator, and the daemon that keeps translations: macOS 14 and later. */
const PROGRAM = 'rosetta';
export const ROSETTA_DAEMON = 'rosettad';
/** Its entry in binfmt_misc. */
export const ROSETTA_HANDLER = 'rvm-rosetta';

/** Where translated programs keep what they know of digests (docker/for-mac#7440: also seen without a cache). */
const MEMOS = '.cache/rosetta';

export const rosetta: Translator = {
  name: 'rosetta',
  share: 'apple',
  cacheBackend: 'rosettad',
  find: async (share) => {
    const interpreter = path.join(share, PROGRAM);
    await access(interpreter, constants.X_OK).catch((error: Error) => {
      throw notInShare(error);
    });
    const build = await digest([interpreter, path.join(share, ROSETTA_DAEMON)]);
    // The programs cannot be asked for their version; the digest tells releases apart.
    return { name: 'rosetta', version: build.slice(0, 12), build, interpreter };
  },
  // It learns of argv[0] from the kernel's AT_FLAGS, which a second exec would lose: by default no router in between.
  start: {
    by: 'kernel',
    // F: containers do not see the share. C (with O): sudo and other set-uid programs work. P, argv[0] as it was given:
    // understood since macOS 14; before it the extra argument would reach the program.
    binfmt: (found, config) =>
      x86_64Entry(ROSETTA_HANDLER, found.interpreter, config.preserveArgv0 === true ? 'POCF' : 'OCF'),
  },
  edits: (_found, config, cache) => {
    if (!cache.enabled || config.socketPath === undefined) {
      return { mounts: [], env: { ROSETTA_DISABLE_AOT: '1' }, scratch: [MEMOS] };
    }
    // A container needs the socket alone: programs are sent as descriptors. A read-only mount still takes connections.
    return { mounts: [{ path: path.dirname(config.socketPath), readOnly: true }], env: {}, scratch: [MEMOS] };
  },
};

/**
 * The same behind the router, for those who ask for it: the deny list counts, and programs that need instructions which
 * it does not have go to another translator. What it costs: argv[0] is the program's path. Not run on a Mac.
 */
export const routedRosetta: Translator = {
  ...rosetta,
  start: {
    by: 'router',
    calling: 'plain',
    libc: 'any',
    // AVX is not advertised to Linux programs (crc-org/vfkit#265), so those for x86-64-v3 end at their start.
    isaLevel: 2,
    withoutCache: { ROSETTA_DISABLE_AOT: '1' },
  },
  edits: (found, config, cache) => {
    const { mounts, ...rest } = rosetta.edits(found, config, cache);
    // It is started from the share itself: a copy would not be Apple's to its own check.
    return { ...rest, mounts: [{ path: path.dirname(found.interpreter), readOnly: true }, ...mounts] };
  },
};

/** No rule is known by which Rosetta refuses translations of another release, so the files' digest keys the cache. */
async function digest(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`${path.basename(file)}\n`);
    // rosettad is absent before macOS 14.
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      await pipeline(createReadStream(file), hash, { end: false });
  }
  return hash.digest('hex');
}

function notInShare(cause: Error): RosettaVmError {
  return new RosettaVmError('E_NOT_FOUND', {
    what: 'The Rosetta share has no translator.',
    why: cause.message,
    // How Rosetta comes to a Mac depends on its macOS, which the guest does not know.
    fix: 'Run `rosetta-vm doctor` on the Mac: it says whether Rosetta can be had there. Or choose another translator.',
    facts: { translator: 'rosetta' },
    cause,
  });
}
