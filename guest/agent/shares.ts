/** Mounts the host folders that the spec asks for. */
import { mkdir } from 'node:fs/promises';
import type { BootConfig } from '../protocol.ts';
import { type RunCommand, runOrThrow } from './command.ts';
import type { PartLog } from './log.ts';
import { isMountPoint } from './mounts.ts';
import { applet, type GuestSettings } from './settings.ts';

const MOUNT_TIMEOUT_MS = 30_000;

/** One share that fails leaves the others alone; the log says which. */
export async function mountShares(
  shares: BootConfig['shares'],
  settings: GuestSettings,
  run: RunCommand,
  log: PartLog,
): Promise<void> {
  for (const { tag, mountPoint, readOnly } of shares) {
    try {
      if (await isMountPoint(mountPoint)) continue;
      await mkdir(mountPoint, { recursive: true });
      const options = `${readOnly ? 'ro' : 'rw'},nosuid,nodev`;
      await runOrThrow(
        run,
        applet(settings, 'mount', '-t', 'virtiofs', '-o', options, tag, mountPoint),
        MOUNT_TIMEOUT_MS,
      );
    } catch (error) {
      log.error('A share is not mounted.', { tag, mountPoint, reason: String(error) });
    }
  }
}
