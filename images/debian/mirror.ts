/** Which archives to ask, best first (design: the user's choice, the host's own, one public mirror). */
import { RosettaVmError } from '../../host/errors.ts';
import type { AptConfig } from './apt-config.ts';

/** The one public default: kernel.org's mirrors carry both the archive and its security updates. */
const PUBLIC_MIRROR = 'https://mirrors.kernel.org/debian';

export interface Mirror {
  /** Base of the archive, without a trailing slash: `dists/` and `pool/` are below it. */
  readonly url: string;
  readonly origin: 'option' | 'host' | 'public';
}

/** Suites such as trixie-security live in an archive of their own, by custom a sibling called `debian-security`. */
const isSecurity = (suite: string): boolean => suite.endsWith('-security');

/**
 * Archives to try for a suite, in order. With an explicit mirror it alone is asked: falling back to another host
 * would not be what the user said. Throws `E_USAGE` when the explicit mirror is not an http(s) URL.
 */
export function chooseMirrors(suite: string, explicit: string | undefined, apt: AptConfig): Mirror[] {
  if (explicit !== undefined) return [{ url: forSuite(checkedUrl(explicit), suite), origin: 'option' }];
  const own = apt.sources
    .filter(
      ({ components, suites }) =>
        components.includes('main') && suites.some((one) => isSecurity(one) === isSecurity(suite)),
    )
    .map(({ uri }): Mirror => ({ url: uri, origin: 'host' }));
  const all: Mirror[] = [...own, { url: forSuite(PUBLIC_MIRROR, suite), origin: 'public' }];
  return all.filter(({ url }, index) => all.findIndex((other) => other.url === url) === index);
}

function forSuite(url: string, suite: string): string {
  return isSecurity(suite) ? url.replace(/\/debian$/, '/debian-security') : url;
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new RosettaVmError('E_USAGE', {
      what: `${JSON.stringify(text)} is not a Debian mirror.`,
      why: 'A mirror is an http or https URL without user name, query or fragment.',
      fix: 'Give the folder that holds `dists` and `pool`, such as `https://mirror.example/debian`.',
      facts: { mirror: text },
    });
  }
  return url.href.replace(/\/+$/, '');
}
