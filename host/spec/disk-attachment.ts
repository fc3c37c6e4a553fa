/** Where a data disk is that is no file of its machine: a block device of the host, or an NBD export. */
import path from 'node:path';
import { RosettaVmError } from '../errors.ts';
import { isNbdUrl, parseNbdUrl } from './nbd-url.ts';

/** Gives the text back. Throws `E_INVALID` for one that is neither an absolute path nor an address of an export. */
export function checkDiskAttachment(text: string): string {
  if (isNbdUrl(text)) {
    parseNbdUrl(text);
    return text;
  }
  if (path.isAbsolute(text) && !text.includes('\0')) return text;
  throw new RosettaVmError('E_INVALID', {
    what: 'disk.attachment names no disk.',
    why: 'It is neither the absolute path of a block device nor an nbd:// or nbd+unix:// URL.',
    fix: 'Write it like /dev/sdb, nbd://host/export or nbd+unix:///export?socket=/path, or leave it out.',
    facts: { field: 'disk.attachment' },
  });
}
