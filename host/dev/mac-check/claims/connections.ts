/** vsock, seen from the framework's side. */
import { SYSTEM_PARTITION } from '../../../../guest/protocol.ts';
import { type Claim, judged, noted, said, unclear } from '../claim.ts';
import { driveMachines, linesOf } from './drive.ts';

const PORT = 4242;
/** In place of init: gives back whatever comes to the port. The sum keeps the kernel's own words from looking like it. */
const ECHO = [
  'mount -t proc proc /proc',
  'mount -t sysfs sysfs /sys',
  'modprobe vmw_vsock_virtio_transport',
  '(sleep 1; echo listens-$((40+2))) & exec socat VSOCK-LISTEN:4242,fork PIPE',
].join('; ');

export const CONNECTION_CLAIMS: readonly Claim[] = [
  {
    id: 'life-silent-port',
    claim: 'A connection to a port on which nobody listens comes to an end by itself.',
    source: 'VZVirtioSocketDevice.h says that it does nothing; containerization sees an error and tries again',
    how: `A machine without a root is asked for port ${PORT}; the answer, or 20 s of silence, is wanted.`,
    needs: ['addon', 'signed-copy', 'machine'],
    commands: (context) => [
      driveMachines(context, 'silent-port', { machines: [[['start'], ['connect', PORT], ['stop']]] }),
    ],
    judge: ([result]) => (result === undefined ? unclear('') : noted(said(result))),
  },
  {
    id: 'life-descriptor',
    claim: 'A connection’s descriptor is of AF_UNIX, and its duplicate lives on when the framework’s own is closed.',
    source:
      'VZVirtioSocketConnection.h says neither; containerization and openai/tart#1333 close at once, apple/containerization#552 saw the link go down, so the addon keeps it',
    how: `The image’s system disk, read-only, with socat for init gives back what it is told on port ${PORT}: once before the connection is closed, once after.`,
    needs: ['addon', 'signed-copy', 'machine', 'macos-14'],
    commands: (context) => [
      driveMachines(context, 'descriptor', {
        machines: [[['start'], ['console', 'listens-42'], ['echo', PORT], ['stop']]],
        systemDisk: true,
        commandLine: `root=PARTUUID=${SYSTEM_PARTITION} rootwait rootfstype=ext4 ro init=/bin/busybox -- sh -c "${ECHO}"`,
      }),
    ],
    judge: ([result]) => {
      const line = linesOf(result).find(({ descriptor }) => descriptor !== undefined);
      if (result === undefined || line === undefined) return unclear(result === undefined ? '' : said(result));
      const { descriptor, before, after } = line;
      if (descriptor === 'AF_UNIX' && before !== true) return unclear(said(result));
      const answers = (does: boolean | undefined): string => (does === true ? 'answers' : 'does not answer');
      return judged(
        descriptor === 'AF_UNIX' && after === true,
        `${descriptor}; before the end of the framework’s connection it ${answers(before)}, after it ${answers(after)}`,
      );
    },
  },
];
