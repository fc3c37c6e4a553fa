/**
 * Addresses of network block devices. `validateURL:error:` checks the form too, but only with the framework's words, and
 * `[NSURL URLWithString:]` gives nil for malformed text.
 */
import { RosettaVmError } from '../../errors.ts';

/** The schemes that users of the framework's attachment name (apple/containerization, tart; doc/uri.md of the NBD project). */
const TCP_SCHEMES: readonly string[] = ['nbd:', 'nbds:'];
const UNIX_SCHEMES: readonly string[] = ['nbd+unix:', 'nbds+unix:'];

/** Throws `E_INVALID`. Whether the server answers is not tried: `qemu-nbd` ends with its first client. */
export function checkNbdUrl(text: string): void {
  if (!URL.canParse(text)) throw refused(text, 'It is no URL.');
  const url = new URL(text);
  if (TCP_SCHEMES.includes(url.protocol)) {
    if (url.hostname === '') throw refused(text, 'It names no host.');
    return;
  }
  if (!UNIX_SCHEMES.includes(url.protocol)) {
    throw refused(text, `Its scheme is none of ${[...TCP_SCHEMES, ...UNIX_SCHEMES].join(' ')}`);
  }
  const socket = url.searchParams.get('socket') ?? '';
  if (!socket.startsWith('/')) throw refused(text, 'It names no absolute path as ?socket=.');
}

function refused(url: string, why: string): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: `The network block device's address cannot be used: ${url}`,
    why,
    fix: 'Write it as nbd://host[:port]/export or nbd+unix:///export?socket=/path.',
    facts: { url },
  });
}
