/**
 * Addresses of NBD exports: `nbd://host[:port]/export` and `nbd+unix:///export?socket=/path` (doc/uri.md of the
 * NetworkBlockDevice project). Virtualization.framework takes one as a URL, QEMU takes its parts.
 */
import { RosettaVmError } from '../errors.ts';

export interface NbdAddress {
  readonly server:
    | { readonly type: 'inet'; readonly host: string; readonly port: number }
    | { readonly type: 'unix'; readonly path: string };
  /** Name of the export; empty: the server's default one. */
  readonly export: string;
}

/** Registered with IANA for nbd. */
const DEFAULT_PORT = 10809;
/** NBD limits a string to 4096 bytes (doc/proto.md, "Values"). */
const MAX_EXPORT_BYTES = 4096;
/** sockaddr_un.sun_path is 104 bytes on macOS (sys/un.h), with its end. */
const MAX_SOCKET_BYTES = 103;
/** What an error quotes of an address. */
const MAX_QUOTED = 200;

/** Whether a text is meant as such an address. */
export const isNbdUrl = (text: string): boolean => /^nbds?(\+[a-z]+)?:/i.test(text);

/**
 * Throws `E_INVALID` for anything that not both drivers understand: TLS (`nbds`) needs certificates that a machine has no
 * place for, and without TLS a user name means nothing. Whether the server answers is not tried.
 */
export function parseNbdUrl(text: string): NbdAddress {
  if (!URL.canParse(text) || !text.includes('://')) throw refused(text, 'It is no URL.');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw refused(text, 'NBD without TLS has no user and no password.');
  if (url.hash !== '') throw refused(text, 'It has a part behind “#”, which means nothing to NBD.');
  const name = decoded(text, url.pathname.replace(/^\//, ''));
  if (Buffer.byteLength(name) > MAX_EXPORT_BYTES)
    throw refused(text, `An export’s name has at most ${MAX_EXPORT_BYTES} bytes.`);
  if (url.protocol === 'nbd:') return { server: tcpServer(text, url), export: name };
  if (url.protocol === 'nbd+unix:') return { server: unixServer(text, url), export: name };
  const why = /^nbds/.test(url.protocol) ? 'TLS is not supported.' : 'Its scheme is neither nbd nor nbd+unix.';
  throw refused(text, why);
}

/**
 * The same address in the characters of RFC 3986: `new URL` takes blanks, letters of every script and some signs that
 * NSURL makes nothing of. Brackets stand around an IPv6 address alone.
 */
export function nbdHref(text: string): string {
  const { protocol, host, pathname, search } = new URL(text);
  const server = host.replaceAll(/[^\w\-.~:[\]!$&'()*+,;=%]/g, encodeURIComponent);
  const rest = `${pathname}${search}`.replaceAll(/[^\w\-.~:/?@!$&'()*+,;=%]/g, encodeURIComponent);
  return `${protocol}//${server}${rest}`;
}

function tcpServer(text: string, url: URL): NbdAddress['server'] {
  if (url.hostname === '') throw refused(text, 'It names no host.');
  if (url.search !== '') throw refused(text, 'It has a part behind “?”, which means nothing without a unix socket.');
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port);
  if (port === 0) throw refused(text, 'No server has the port 0.');
  return { type: 'inet', host: decoded(text, url.hostname.replace(/^\[(.*)\]$/, '$1')), port };
}

/** Split by hand: URLSearchParams would read a “+” in a path as a blank, and RFC 3986 does not. */
function unixServer(text: string, url: URL): NbdAddress['server'] {
  if (url.host !== '') throw refused(text, 'It names a host, and a unix socket has none.');
  const parameters = url.search.replace(/^\?/, '').split('&');
  const [socket = ''] = parameters;
  if (parameters.length !== 1 || !socket.startsWith('socket='))
    throw refused(text, 'It needs ?socket= and nothing else.');
  const path = decoded(text, socket.slice('socket='.length));
  if (!path.startsWith('/')) throw refused(text, 'It names no absolute path as ?socket=.');
  if (Buffer.byteLength(path) > MAX_SOCKET_BYTES)
    throw refused(text, `A socket’s path has at most ${MAX_SOCKET_BYTES} bytes.`);
  return { type: 'unix', path };
}

function decoded(text: string, part: string): string {
  let plain: string;
  try {
    plain = decodeURIComponent(part);
  } catch {
    throw refused(text, 'A “%” in it is not followed by two hexadecimal digits of UTF-8.');
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(plain)) throw refused(text, 'It has a control character.');
  return plain;
}

/** What stands before “@” may be a password, and errors reach logs. */
const withoutUser = (text: string): string => text.replace(/^([a-z+]*:\/*)?.*@/is, '$1…@').slice(0, MAX_QUOTED);

function refused(text: string, why: string): RosettaVmError {
  const url = withoutUser(text);
  return new RosettaVmError('E_INVALID', {
    what: `The address of the NBD export cannot be used: ${url}`,
    why,
    fix: 'Write it as nbd://host[:port]/export or nbd+unix:///export?socket=/path.',
    facts: { url },
  });
}
