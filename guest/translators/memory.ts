/** The folder in memory that translators are started from, here and in containers: the share's copy and the router. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeWhole } from '../../host/files.ts';
import { type RunCommand, runOrThrow } from '../agent/command.ts';
import { isMountPoint } from '../agent/mounts.ts';
import { applet, type GuestSettings } from '../agent/settings.ts';
import { COUNTER_BYTES } from './exec-counts.ts';
import { findInManifest } from './manifest.ts';

const COMMAND_TIMEOUT_MS = 30_000;

/** What programs may write to in the folder: the page that the router counts in. */
export const COUNTERS_FILE = 'counters';
export const ROUTER_FILE = 'router';
export const TABLE_FILE = 'table';

/**
 * Makes the folder, filled or not at all: it is filled elsewhere and then moved, so that no program ever sees a part.
 * The router is the boot share's own in any case, since that comes with the agent.
 */
export async function ensureTranslatorFolder(settings: GuestSettings, run: RunCommand): Promise<void> {
  const { translatorDirectory, translatorShareDirectory, runDirectory } = settings;
  const command = (name: string, ...args: string[]): Promise<string> =>
    runOrThrow(run, applet(settings, name, ...args), COMMAND_TIMEOUT_MS);
  if (await isMountPoint(translatorDirectory)) return await putRouter(settings, translatorDirectory);
  const staging = path.join(runDirectory, 'filling');
  await mkdir(staging, { recursive: true });
  // An agent was ended while it filled it.
  if (await isMountPoint(staging)) await command('umount', '-l', staging);
  await command('mount', '-t', 'tmpfs', '-o', 'nosuid,nodev,mode=755', 'translators', staging);
  await command('cp', '-a', `${translatorShareDirectory}/.`, staging);
  await putRouter(settings, staging);
  await writeFile(path.join(staging, COUNTERS_FILE), Buffer.alloc(COUNTER_BYTES));
  // Programs of every user count; writeFile's mode would be cut by the umask.
  await chmod(path.join(staging, COUNTERS_FILE), 0o666);
  await mkdir(translatorDirectory, { recursive: true });
  await command('mount', '--move', staging, translatorDirectory);
}

/** Ends the router's file when a translator stands before it (guest/router/embedded.c): its length, and this. */
const EMBEDDED_MARK = 'RVMQEMU1';

/**
 * By a rename: the file is executed while it is replaced. qemu-user goes with it, as the translator of last resort for
 * roots that do not have the folder: it is static, so it needs nothing of them.
 */
async function putRouter(settings: GuestSettings, directory: string): Promise<void> {
  const file = path.join(directory, ROUTER_FILE);
  const router = await readFile(path.join(settings.bootDirectory, 'bin', ROUTER_FILE));
  const qemu = await findInManifest(directory, 'qemu').then(
    ({ interpreter }) => readFile(interpreter),
    () => undefined,
  );
  await writeWhole(file, qemu === undefined ? router : Buffer.concat([router, qemu, trailer(qemu.length)]), 0o755);
}

function trailer(length: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(BigInt(length));
  bytes.write(EMBEDDED_MARK, 8, 'latin1');
  return bytes;
}
