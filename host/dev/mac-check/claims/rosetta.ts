/** Rosetta in the guest, and its cache. */
import path from 'node:path/posix';
import { z } from 'zod';
import { GUEST_SETTINGS } from '../../../../guest/agent/settings.ts';
import { ROSETTA_SOCKET } from '../../../../guest/protocol.ts';
import { ROSETTA_DAEMON, ROSETTA_HANDLER } from '../../../../guest/translators/rosetta.ts';
import {
  type Claim,
  type Command,
  type Context,
  inGuest,
  judged,
  MACHINE,
  noted,
  type Result,
  said,
  unclear,
} from '../claim.ts';
import { jsonIn } from '../json-in.ts';
import { majorOf } from '../mac-facts.ts';

const PROBE_LIMIT_MS = 5 * 60_000;
const DOCKER_LIMIT_MS = 10 * 60_000;
const SHARE = GUEST_SETTINGS.rosettaShareDirectory;
const SOCKETS = path.dirname(ROSETTA_SOCKET);
const HANDLER = path.join(GUEST_SETTINGS.binfmtDirectory, ROSETTA_HANDLER);

const probe = ({ cli }: Context): Command => ({
  argv: [...cli, 'build', '--probe', '--machine', MACHINE, '--json'],
  limitMs: PROBE_LIMIT_MS,
});
const stats = ({ cli }: Context): Command => ({ argv: [...cli, 'cache', 'stats', MACHINE, '--json'] });

const STATS = z.array(z.looseObject({ directory: z.string(), entries: z.number(), bytes: z.number() }));
const statsOf = (result: Result | undefined) => STATS.safeParse(jsonIn(result?.stdout ?? '')).data?.[0];

/** A small amd64 program of glibc; the image is fetched once. */
const AMD64 = 'docker run --rm --platform linux/amd64';
const SMALL_IMAGE = 'debian:stable-slim';

/** What the steps of the image leave on purpose. */
const STEPS = ['step-of-root', 'step-of-ada'];
const LAYERS_TAG = 'mac-check-layers';
const LAYERS = `FROM ${SMALL_IMAGE}
RUN ls / >/dev/null && perl -e 1 && touch /${STEPS[0]}
RUN useradd --create-home ada
USER ada
RUN ls / >/dev/null && perl -e 1 && touch /home/ada/${STEPS[1]}
`;
/** Of every file of every layer, those that matter: a layer is one of the archives in the image's archive. */
const LIST_LAYERS = [
  'folder=$(mktemp -d) && cd "$folder"',
  `docker save ${LAYERS_TAG} | tar -x`,
  `find . -type f | while read -r file; do tar -tf "$file" 2>/dev/null; done | grep -E '\\.cache|step-of-'`,
  `cd / && rm -rf "$folder"`,
].join('; ');

export const ROSETTA_CLAIMS: readonly Claim[] = [
  {
    id: 'rosetta-share',
    claim: 'The share has the translator, and on macOS 14 and newer the daemon.',
    source: 'not known for macOS 27: whether rosettad is still in the share, and in which version',
    how: 'The files of the share with sizes and digests, and version strings. The output is wanted.',
    needs: ['rosetta'],
    commands: (context) => [
      inGuest(
        context,
        `ls -l ${SHARE}; sha256sum ${SHARE}/rosetta*; grep -aoE 'Rosetta[a-zA-Z0-9 ._-]{0,60}' ${SHARE}/rosetta | head -5`,
      ),
    ],
    judge: ([result]) => (result === undefined ? unclear('') : noted(said(result))),
  },
  {
    id: 'rosetta-handler',
    claim: 'Rosetta is the kernel’s handler of x86_64 programs, with the flags POCF (before macOS 14: OCF).',
    source: 'Apple recommends P from macOS 14 on; lima still goes without',
    how: 'The handler read back in the guest.',
    needs: ['rosetta'],
    commands: (context) => [inGuest(context, `cat ${HANDLER}; ls ${GUEST_SETTINGS.binfmtDirectory}`)],
    judge: ([result], { facts }) => {
      const macOS = majorOf(facts);
      if (result === undefined || macOS === 0) return unclear(result === undefined ? '' : said(result));
      const flags = macOS >= 14 ? 'POCF' : 'OCF';
      return judged(
        /^enabled$/m.test(result.stdout) && new RegExp(`^flags: ${flags}$`, 'm').test(result.stdout),
        `${flags} is right for macOS ${facts.macOS}; ${said(result)}`,
      );
    },
  },
  {
    id: 'rosetta-build-step',
    claim: 'A step of a Docker build runs an x86_64 program, without a change to the Dockerfile.',
    source: 'no other product reaches the cache from RUN without --device',
    how: '`rosetta-vm build --probe`.',
    needs: ['rosetta'],
    commands: (context) => [probe(context)],
    judge: ([result]) => (result === undefined ? unclear('') : judged(result.exitCode === 0, said(result))),
  },
  {
    id: 'rosetta-socket',
    claim:
      'rosettad binds a socket below its cache folder, in uds, by the last part of the configured path; the guest shows it under /dev.',
    source:
      'seen in lima and Parallels Tools; FB14580944 asks Apple to bind the configured path. It may be fixed in macOS 27',
    how: 'The sockets of the guest, by path and inode. The output is wanted.',
    needs: ['rosetta', 'macos-14'],
    commands: (context) => [
      inGuest(
        context,
        `ls -li ${SOCKETS}; find ${GUEST_SETTINGS.dataDirectory} -name '*.sock' -exec ls -li {} +; cat /proc/net/unix | grep -i rosett`,
      ),
    ],
    judge: ([result]) =>
      result === undefined ? unclear('') : judged(/rosetta\.sock/.test(result.stdout), said(result)),
  },
  {
    id: 'rosetta-cache-fills',
    claim: 'A program that runs in a container leaves an entry in the cache, and a second run makes no more.',
    source: 'Code-Hex/vz’s tests; nobody has shown it from a container without --device',
    how: 'Entries before, after one, and after a second run of perl in an amd64 container.',
    needs: ['rosetta', 'macos-14', 'full'],
    commands: (context) => {
      const run = inGuest(context, `${AMD64} ${SMALL_IMAGE} perl -e 'print 42'`, DOCKER_LIMIT_MS);
      return [stats(context), run, stats(context), run, stats(context)];
    },
    judge: (results) => {
      const [before, first, second] = [0, 2, 4].map((index) => statsOf(results[index])?.entries);
      const text = `entries: ${before} → ${first} → ${second}; run: ${results[1] === undefined ? '' : said(results[1])}`;
      if (before === undefined || first === undefined || second === undefined) return unclear(text);
      return judged(first > before && second === first, text);
    },
  },
  {
    id: 'rosetta-daemon-dies',
    claim: 'Programs run on while rosettad is dead, and it is started again.',
    source: 'Code-Hex/vz tested a missing socket; a daemon that died with its socket left behind was not tested',
    how: 'rosettad is killed in the guest; a program runs at once; a minute later the daemon is back.',
    needs: ['rosetta', 'macos-14'],
    commands: (context) => [
      inGuest(context, `pkill -KILL -x ${ROSETTA_DAEMON} && echo killed`),
      probe(context),
      inGuest(
        context,
        `i=0; while [ $i -lt 70 ] && ! pgrep -x ${ROSETTA_DAEMON}; do sleep 1; i=$((i+1)); done`,
        90_000,
      ),
    ],
    judge: ([killed, ran, back]) => {
      if (killed === undefined || ran === undefined || back === undefined) return unclear('');
      if (!/killed/.test(killed.stdout)) return unclear(said(killed));
      const alive = /^\d+/m.test(back.stdout);
      return judged(ran.exitCode === 0 && alive, `program: ${said(ran)}; daemon ${alive ? 'is back' : 'stays away'}`);
    },
  },
  {
    id: 'rosetta-disable-aot',
    claim: 'With ROSETTA_DISABLE_AOT=1 a program runs and leaves nothing in the cache.',
    source: 'orbstack#2683 and nix-rosetta-builder#2 use it; Apple documents it nowhere',
    how: 'Entries before and after a run of awk with it, in an amd64 container.',
    needs: ['rosetta', 'macos-14', 'full'],
    commands: (context) => [
      stats(context),
      inGuest(
        context,
        `${AMD64} -e ROSETTA_DISABLE_AOT=1 ${SMALL_IMAGE} /usr/bin/mawk 'BEGIN{print 42}'`,
        DOCKER_LIMIT_MS,
      ),
      stats(context),
    ],
    judge: ([before, ran, after]) => {
      const [one, other] = [statsOf(before)?.entries, statsOf(after)?.entries];
      const text = `entries: ${one} → ${other}; run: ${ran === undefined ? '' : said(ran)}`;
      if (one === undefined || other === undefined || ran?.exitCode !== 0) return unclear(text);
      return judged(one === other, text);
    },
  },
  {
    id: 'rosetta-avx',
    claim: 'With ROSETTA_ADVERTISE_AVX=1 Linux programs see AVX2.',
    source: 'works on macOS itself since macOS 15; for Linux guests not confirmed',
    how: 'The flags in /proc/cpuinfo and what glibc’s loader says, with and without it.',
    needs: ['rosetta', 'full'],
    commands: (context) =>
      ['', '-e ROSETTA_ADVERTISE_AVX=1'].map((flag) =>
        inGuest(
          context,
          `${AMD64} ${flag} ${SMALL_IMAGE} sh -c '/lib64/ld-linux-x86-64.so.2 --help | grep -E "x86-64-v[234]"'`,
          DOCKER_LIMIT_MS,
        ),
      ),
    judge: (results) => noted(results.map(said).join('\nwith it: ')),
  },
  {
    id: 'rosetta-clean-layers',
    claim: 'No layer of a built image has a .cache folder of Rosetta’s.',
    source: 'docker/for-mac#7440: translated processes leave $HOME/.cache/rosetta in layers',
    how: 'An image is built whose steps run programs as root and as another user; the files of each of its layers are listed.',
    needs: ['rosetta', 'full'],
    commands: (context) => {
      const folder = path.join(context.folder, 'layers');
      const dockerfile = path.join(folder, 'Dockerfile');
      return [
        { argv: ['/bin/sh', '-c', 'mkdir -p "$1" && printf %s "$2" >"$3"', 'sh', folder, LAYERS, dockerfile] },
        {
          argv: [...context.cli, 'build', '--machine', MACHINE, '--tag', LAYERS_TAG, '--no-cache', folder],
          limitMs: DOCKER_LIMIT_MS,
        },
        inGuest(context, LIST_LAYERS, DOCKER_LIMIT_MS),
      ];
    },
    judge: ([, built, listed]) => {
      if (built === undefined || listed === undefined) return unclear('');
      if (built.exitCode !== 0) return unclear(said(built));
      // Without what the steps made, the layers were not read.
      const ran = STEPS.filter((file) => listed.stdout.includes(file)).length;
      if (listed.exitCode !== 0 || ran !== STEPS.length) return unclear(said(listed));
      return judged(!/\.cache/.test(listed.stdout), said(listed));
    },
  },
  {
    id: 'rosetta-argv-zero',
    claim: 'A program sees the name that it was called by.',
    source: 'binfmt_misc’s flag P: busybox-style programs and login shells need it',
    how: 'bash, called by a name that begins with a hyphen, says in an amd64 container whether it is a login shell.',
    needs: ['rosetta', 'macos-14', 'full'],
    commands: (context) => [
      inGuest(
        context,
        `${AMD64} ${SMALL_IMAGE} bash -c 'exec -a -other bash -c "shopt -q login_shell && echo login"'`,
        DOCKER_LIMIT_MS,
      ),
    ],
    judge: ([result]) => (result === undefined ? unclear('') : judged(/^login$/m.test(result.stdout), said(result))),
  },
];
