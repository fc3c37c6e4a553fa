/** The folder in memory that translators are started from, here and in containers: the share's copy and the router. */
import { chmod, copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type RunCommand, runOrThrow } from '../agent/command.ts';
import { isMountPoint } from '../agent/mounts.ts';
import { applet, type GuestSettings } from '../agent/settings.ts';
import { COUNTER_BYTES } from './exec-counts.ts';

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

/** By a rename: the file is executed while it is replaced. */
async function putRouter(settings: GuestSettings, directory: string): Promise<void> {
  const file = path.join(directory, ROUTER_FILE);
  await copyFile(path.join(settings.bootDirectory, 'bin', ROUTER_FILE), `${file}.new`);
  await chmod(`${file}.new`, 0o755);
  await rename(`${file}.new`, file);
}
