/** Debian's archive keys, and clear-signed texts checked against them. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Key } from 'openpgp';
import { RosettaVmError } from '../../host/errors.ts';
import { imageData } from '../data.ts';

export interface ArchiveKeys {
  /**
   * The signed text, when at least one signature is good and by a key that has not expired, as apt wants it (gpgv's
   * EXPKEYSIG is no good signature). Throws `E_VERIFY`.
   */
  verifyClearSigned(
    message: string,
    about: { readonly url: string; readonly suite: string; readonly now: number },
  ): Promise<{ readonly text: string; readonly signedBy: readonly string[] }>;
}

/** Where Debian's debian-archive-keyring package puts the keys; binary or ASCII-armoured. */
const HOST_KEYRINGS = 'usr/share/keyrings';
const HOST_KEYRING = /^debian-archive-keyring\.(gpg|pgp|asc)$/;

/** Key files are small; what is larger is something else. */
const MAX_KEYRING_BYTES = 4 * 1024 * 1024;

/**
 * The host's own copy of the keys (it may know newer ones, or revocations), then the ones that travel with rosetta-vm,
 * exported from debian-archive-keyring. `root` is the host's root folder.
 */
export async function loadArchiveKeys(root = '/'): Promise<ArchiveKeys> {
  const folder = path.join(root, HOST_KEYRINGS);
  const host = (await readdir(folder).catch(() => [])).filter((name) => HOST_KEYRING.test(name));
  const carriedFolder = imageData('debian/keys');
  const carried = (await readdir(carriedFolder)).filter((name) => name.endsWith('.asc')).sort();
  return await archiveKeys([
    ...(await Promise.all(host.sort().map((name) => readFile(path.join(folder, name)).catch(() => Buffer.alloc(0))))),
    ...(await Promise.all(carried.map((name) => readFile(path.join(carriedFolder, name))))),
  ]);
}

/** Keys from files' contents; the first copy of a fingerprint counts. */
export async function archiveKeys(files: readonly Uint8Array[]): Promise<ArchiveKeys> {
  // Loaded late: it is the largest dependency, and an image that exists already needs none of it.
  const openpgp = await import('openpgp');
  const keys = new Map<string, Key>();
  for (const file of files) {
    if (file.length === 0 || file.length > MAX_KEYRING_BYTES) continue;
    const armoured = Buffer.from(file.subarray(0, 5)).toString('latin1') === '-----';
    const some = armoured
      ? await openpgp.readKeys({ armoredKeys: Buffer.from(file).toString('latin1') })
      : await openpgp.readKeys({ binaryKeys: file });
    for (const key of some) if (!keys.has(key.getFingerprint())) keys.set(key.getFingerprint(), key);
  }

  return {
    async verifyClearSigned(message, { url, suite, now }) {
      const date = new Date(now * 1000);
      const reasons: string[] = [];
      const signedBy: string[] = [];
      let text = '';
      try {
        const cleartextMessage = await openpgp.readCleartextMessage({ cleartextMessage: message });
        const result = await openpgp.verify({ message: cleartextMessage, verificationKeys: [...keys.values()], date });
        text = result.data;
        for (const { keyID, verified } of result.signatures) {
          const key = [...keys.values()].find((one) => one.getKeys(keyID).length > 0);
          try {
            await verified;
            const expiry = await key?.getExpirationTime();
            if (key === undefined) reasons.push(`key ${keyID.toHex()} is not known`);
            else if (expiry instanceof Date && expiry <= date) reasons.push(`key ${keyID.toHex()} has expired`);
            else signedBy.push(key.getFingerprint());
          } catch (error) {
            reasons.push(error instanceof Error ? error.message : String(error));
          }
        }
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      }
      if (signedBy.length === 0) {
        throw new RosettaVmError('E_VERIFY', {
          what: `The index of Debian ${suite} is not signed by Debian.`,
          why: `${url}: ${reasons.join('; ') || 'there is no signature'}.`,
          fix: 'Choose another mirror with `--mirror URL`; if every mirror fails, update rosetta-vm, whose copy of the archive keys may be too old.',
          facts: { url, suite },
        });
      }
      return { text, signedBy: [...new Set(signedBy)].sort() };
    },
  };
}
