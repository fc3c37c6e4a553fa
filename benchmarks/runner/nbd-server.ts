/** An NBD server over a file of this host, for the arm of a disk benchmark that measures one: QEMU's qemu-nbd. */
import { lstat, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RosettaVmError } from '../../host/errors.ts';
import { OwnedProcess } from '../../host/process/owned.ts';
import { findProgram } from '../../host/process/programs.ts';

export interface NbdServer {
  /** Of its one export. */
  readonly url: string;
  /** Ends it and removes its file. */
  close(): Promise<void>;
}

export interface NbdServerOptions {
  /** Holds the file and the log while it runs, and is removed with them. */
  readonly directory: string;
  /** Removed at the end; short, for the sake of the socket in it. */
  readonly runtimeDirectory: string;
  readonly bytes: number;
  readonly signal: AbortSignal;
}

const EXPORT = 'bench';
const LISTEN_LIMIT_MS = 15_000;
const POLL_MS = 20;

/** Path of the program. Throws `E_HOST_MISSING`. */
export async function findNbdServer(): Promise<string> {
  const program = await findProgram('qemu-nbd', process.env);
  if (program === null) throw noServer();
  return program;
}

/** Resolves when it listens. Throws `E_HOST_MISSING`, `E_VM_FAILED` when it ends at once, `E_TIMEOUT`, `E_ABORTED`. */
export async function startNbdServer(options: NbdServerOptions): Promise<NbdServer> {
  const { directory, runtimeDirectory, bytes, signal } = options;
  const program = await findNbdServer();
  const folders = [directory, runtimeDirectory];
  const removeFolders = async (): Promise<void> => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  };
  await removeFolders();
  for (const folder of folders) await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(directory, 'disk.raw');
  const handle = await open(file, 'wx', 0o600);
  await handle.truncate(bytes);
  await handle.close();
  const socket = path.join(runtimeDirectory, 'nbd.sock');
  const server = OwnedProcess.start({
    name: 'qemu-nbd',
    argv: [
      // On Linux it dies with this process, however that ends (prctl(2), PR_SET_PDEATHSIG).
      ...(await guard()),
      ...[program, '--format=raw', '--persistent', '--discard=unmap', '--export-name', EXPORT],
      ...['--socket', socket, file],
    ],
    log: path.join(directory, 'qemu-nbd.log'),
  });
  const close = async (): Promise<void> => {
    await server.kill();
    await removeFolders();
  };
  try {
    await untilListening(server, socket, signal);
  } catch (error) {
    await close();
    throw error;
  }
  return { url: `nbd+unix:///${EXPORT}?socket=${encodeURIComponent(socket)}`, close };
}

async function guard(): Promise<string[]> {
  const setpriv = await findProgram('setpriv', process.env);
  return setpriv === null ? [] : [setpriv, '--pdeathsig', 'KILL', '--'];
}

async function untilListening(server: OwnedProcess, socket: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + LISTEN_LIMIT_MS;
  while (!(await isSocket(socket))) {
    if (server.exit !== undefined) throw ended(server.tail);
    if (performance.now() > deadline) throw ended(`It did not listen within ${LISTEN_LIMIT_MS / 1000} s.`);
    await sleep(POLL_MS, undefined, { signal });
  }
}

const isSocket = (file: string): Promise<boolean> =>
  lstat(file).then(
    (found) => found.isSocket(),
    () => false,
  );

const noServer = (): RosettaVmError =>
  new RosettaVmError('E_HOST_MISSING', {
    what: 'disk=nbd cannot be measured on this computer.',
    why: 'It needs an NBD server, and the program qemu-nbd is not on the PATH.',
    fix: 'Install it (Debian and Ubuntu: `apt install qemu-utils`; Homebrew: `brew install qemu`), or leave nbd out.',
    facts: { program: 'qemu-nbd' },
  });

const ended = (said: string): RosettaVmError =>
  new RosettaVmError('E_VM_FAILED', {
    what: 'The NBD server for disk=nbd did not start.',
    why: said === '' ? 'qemu-nbd ended without a word.' : said,
    fix: 'Mend what it says, or leave nbd out of --matrix disk=…',
    facts: { program: 'qemu-nbd' },
  });
