/** A machine that runs: boot, vsock, disks, network, clock, stop. */
import { z } from 'zod';
import {
  type Claim,
  type Command,
  type Context,
  fail,
  inGuest,
  judged,
  MACHINE,
  noted,
  type Result,
  said,
  unclear,
} from '../claim.ts';
import { jsonIn } from '../json-in.ts';

/** Fetching Debian's packages for the image over a slow line. */
const UP_LIMIT_MS = 40 * 60_000;
const AGAIN_LIMIT_MS = 5 * 60_000;
const LONG_LIMIT_MS = 5 * 60_000;

/** What is used of a MachineStatus (host/machine/machine.ts), as `status --json` prints it. */
const STATUS = z.array(
  z.looseObject({
    state: z.string(),
    health: z.looseObject({ kernel: z.string() }).nullable(),
    translator: z.looseObject({ state: z.string(), active: z.looseObject({ name: z.string() }).optional() }).nullable(),
  }),
);
const statusOf = (result: Result | undefined) => STATUS.safeParse(jsonIn(result?.stdout ?? '')).data?.[0];

const cli = (context: Context, words: readonly string[], limitMs = AGAIN_LIMIT_MS): Command => ({
  argv: [...context.cli, ...words],
  limitMs,
});
const up = (context: Context, limitMs = AGAIN_LIMIT_MS): Command =>
  cli(context, ['up', MACHINE, '--cpus', '2', '--memory', '4GiB', '--no-docker-context', '--json'], limitMs);

const CONNECTIONS = 40;
const DIGEST = /^([0-9a-f]{64})\b/m;
const BIG_FILE = '/data/mac-check.bin';

export const MACHINE_CLAIMS: readonly Claim[] = [
  {
    id: 'machine-up',
    claim: 'A machine boots from an NVMe disk without an initrd and its agent answers over vsock.',
    source: 'VZLinuxBootLoader with Debian’s kernel; lima and others boot with an initrd or from EFI',
    how: '`rosetta-vm up`, with the image built first.',
    needs: ['addon', 'signed-copy'],
    commands: (context) => [up(context, UP_LIMIT_MS), cli(context, ['status', MACHINE, '--json'])],
    judge: ([first, second]) => {
      const status = statusOf(second);
      if (first === undefined || status === undefined) return fail(first === undefined ? '' : said(first));
      const { state, health, translator } = status;
      return judged(
        first.exitCode === 0 && state === 'running',
        `${state}, kernel ${health?.kernel ?? '?'}, translator ${translator?.active?.name ?? 'none'} (${translator?.state ?? '?'})`,
      );
    },
    shows: ([, status]) => ({
      needs: statusOf(status)?.translator?.active?.name === 'rosetta' ? ['machine', 'rosetta'] : ['machine'],
    }),
  },
  {
    id: 'machine-devices',
    claim: 'The guest sees two NVMe disks, the shares, and a console on hvc0.',
    source: 'the plan; kernel/hypeman#82 for hvc0',
    how: 'lsblk, mount and the kernel’s command line in the guest. The output is wanted.',
    needs: ['machine'],
    commands: (context) => [
      inGuest(context, 'cat /proc/cmdline; ls /dev/nvme*n* /dev/vd* 2>/dev/null; mount | grep virtiofs'),
    ],
    judge: ([result]) => (result === undefined ? unclear('') : noted(said(result))),
  },
  {
    id: 'machine-connections',
    claim: `A connection's descriptor is a socket that Node.js reads, and survives that of others: ${CONNECTIONS} programs at the same time.`,
    source: 'Code-Hex/vz relies on AF_UNIX; openai/tart#1333 crashed from descriptors that were not duplicated',
    how: `${CONNECTIONS} times \`rosetta-vm exec\` at once, then once more.`,
    needs: ['machine'],
    commands: (context) => [
      {
        argv: [
          '/bin/sh',
          '-c',
          `for i in $(seq ${CONNECTIONS}); do "$@" "echo number-$i" & done; wait`,
          'sh',
          ...context.cli,
          'exec',
          '--no-stdin',
          MACHINE,
          '--',
          'sh',
          '-c',
        ],
        limitMs: LONG_LIMIT_MS,
      },
      inGuest(context, 'echo still-there'),
    ],
    judge: ([many, after]) => {
      if (many === undefined || after === undefined) return unclear('');
      const heard = new Set(many.stdout.match(/number-\d+/g) ?? []).size;
      const text = `${heard} of ${CONNECTIONS} answered; afterwards: ${said(after)}`;
      return judged(heard === CONNECTIONS && /still-there/.test(after.stdout), text);
    },
  },
  {
    id: 'machine-network',
    claim: 'The guest has an address by DHCP and reaches the internet through the framework’s NAT.',
    source: 'VZNATNetworkDeviceAttachment; a re-signed program may meet Local Network privacy (TN3179), NAT must not',
    how: 'Address and name look-up in the guest.',
    needs: ['machine'],
    commands: (context) => [inGuest(context, 'ip -4 addr show scope global | grep inet && nslookup debian.org')],
    judge: ([result]) => (result === undefined ? unclear('') : judged(result.exitCode === 0, said(result))),
  },
  {
    id: 'machine-disk',
    claim: 'What was synced is on the disk after the power was cut.',
    source: 'utmapp/UTM#4840: the automatic caching mode corrupted Linux disks; the addon sets cached and fsync',
    how: '512 MiB of random bytes are written and synced, the power is cut, and their digest is read after a new start.',
    needs: ['machine'],
    commands: (context) => [
      inGuest(
        context,
        `dd if=/dev/urandom of=${BIG_FILE} bs=1M count=512 2>/dev/null && sync && sha256sum ${BIG_FILE}`,
        LONG_LIMIT_MS,
      ),
      cli(context, ['down', MACHINE, '--force']),
      up(context),
      inGuest(context, `sha256sum ${BIG_FILE}; rm -f ${BIG_FILE}`, LONG_LIMIT_MS),
    ],
    judge: ([written, , , read]) => {
      const before = DIGEST.exec(written?.stdout ?? '')?.[1];
      const after = DIGEST.exec(read?.stdout ?? '')?.[1];
      if (before === undefined) return unclear(written === undefined ? '' : said(written));
      return judged(before === after, `before ${before.slice(0, 16)}, after ${after?.slice(0, 16) ?? 'nothing'}`);
    },
  },
  {
    id: 'machine-clock',
    claim: 'The guest’s clock is the host’s, to two seconds.',
    source: 'the guest does not notice a sleep of the host',
    how: 'Unix time on both sides. (The claim of a sleep is among those by hand.)',
    needs: ['machine'],
    commands: (context) => [{ argv: ['/bin/date', '+%s'] }, inGuest(context, 'date +%s')],
    judge: ([host, guest]) => {
      const [there, here] = [guest, host].map((result) => /^\d+$/.exec(result?.stdout.trim() ?? '')?.[0]);
      if (there === undefined || here === undefined) return unclear(guest === undefined ? '' : said(guest));
      const difference = Number(there) - Number(here);
      return judged(Math.abs(difference) <= 2, `guest minus host: ${difference} s`);
    },
  },
  {
    id: 'machine-down',
    claim: 'The guest powers off when asked, and the host process ends.',
    source: 'requestStop is ACPI’s power button; stop does not call guestDidStopVirtualMachine: (Code-Hex/vz#154)',
    how: '`rosetta-vm down`, status, and `up` again for the claims that follow.',
    needs: ['machine'],
    commands: (context) => [cli(context, ['down', MACHINE]), cli(context, ['status', MACHINE, '--json']), up(context)],
    judge: ([down, status, again]) => {
      const state = statusOf(status)?.state;
      const text = `${down === undefined ? '' : said(down)}; then ${state ?? 'no status'}; up again: ${again?.exitCode}`;
      return judged(down?.exitCode === 0 && state === 'stopped' && again?.exitCode === 0, text);
    },
  },
];
