/** Unix socket files: who listens, what is stale. */
import { lstat, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { RosettaVmError } from '../errors.ts';

/** A listener's kernel accepts at once; only a full backlog takes longer. */
const CONNECT_LIMIT_MS = 1_000;

/**
 * Makes a path free for a listener: a socket file on which nobody listens is removed. Throws `E_ADDRESS_IN_USE` when
 * somebody does, or when the file is not a socket.
 */
export async function freeSocketPath(path: string): Promise<void> {
  const file = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (file === null) return;
  if (!file.isSocket()) throw inUse(path, 'There is a file that is not a socket.', 'Move that file away.');
  if (await isListening(path)) {
    throw inUse(path, 'Another process listens on it.', 'Stop the machine that uses it, or choose another name.');
  }
  await rm(path, { force: true });
}

async function isListening(path: string): Promise<boolean> {
  const socket = connect({ path });
  return await new Promise<boolean>((resolve) => {
    socket.setTimeout(CONNECT_LIMIT_MS, () => resolve(true));
    socket.once('connect', () => resolve(true));
    // EAGAIN: the backlog is full, so there is a listener.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EAGAIN'));
  }).finally(() => socket.destroy());
}

/**
 * True when a process listens at this path, without connecting: vhost-user daemons serve the first connection only.
 * Linux: proc_net_unix(5), column Flags, __SO_ACCEPTCON is 0x10000 (include/uapi/linux/net.h).
 */
export async function hasListener(path: string): Promise<boolean> {
  const table = await readFile('/proc/net/unix', 'utf8');
  return table.split('\n').some((row) => row.endsWith(` ${path}`) && row.split(/\s+/)[3] === '00010000');
}

function inUse(path: string, why: string, fix: string): RosettaVmError {
  return new RosettaVmError('E_ADDRESS_IN_USE', {
    what: `The socket path ${path} is taken.`,
    why,
    fix,
    facts: { path },
  });
}
