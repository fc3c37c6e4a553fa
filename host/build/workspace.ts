/**
 * Where a build's files lie in the guest: a folder on the data disk for contexts and results, one in memory for
 * secrets. A small program in the guest holds both, and removes them when it is told to or when the host vanishes.
 *
 * The context is unpacked there and not given to buildx as an archive, for two reasons: a Dockerfile that lies outside
 * the context, or that its rules leave out, would otherwise end up in what `COPY .` copies; and a build that is tried
 * again need not send everything again.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { DATA_DIR } from '../../guest/protocol.ts';
import type { AgentClient, ExecSession } from '../channel/agent-client.ts';
import { runInGuest } from '../channel/guest-command.ts';
import { LineSplitter } from '../channel/lines.ts';
import { RosettaVmError } from '../errors.ts';

/** Parents of the folders, in the guest. */
export interface WorkspaceRoots {
  readonly disk: string;
  readonly memory: string;
}

const GUEST_ROOTS: WorkspaceRoots = { disk: `${DATA_DIR}/builds`, memory: '/run/rosetta-vm/builds' };

/** Small files and folders; seconds under emulation. */
const SHORT_LIMIT_MS = 60_000;
/** A context of gigabytes over an emulated device. */
const UNPACK_LIMIT_MS = 60 * 60_000;
/** Ending includes the removal of the context. */
const END_LIMIT_MS = 60_000;

/** EX_TEMPFAIL (sysexits.h): another build holds the folder. */
const BUSY = 75;

/**
 * `$1` and `$2` are the folders. The lock says that they are in use; it is held by this shell and goes with it. Folders
 * whose lock is free are those of a host that vanished, or of a guest that lost its power.
 */
const HOLD = `
umask 077
mkdir -p "\${1%/*}" "\${2%/*}"
exec 9>"$1.lock"
flock -n 9 || exit ${BUSY}
for folder in "\${1%/*}"/*/; do
  folder=\${folder%/}
  [ "$folder" = "$1" ] || flock -n "$folder.lock" rm -rf "$folder" 2>/dev/null
done
trap 'rm -rf "$1" "$2"' EXIT
trap 'exit 1' HUP INT TERM
rm -rf "$1" "$2"
mkdir "$1" "$2"
echo ready
cat >/dev/null
`;

export interface Workspace {
  readonly directory: string;
  /** Unpacks a tar stream into a new folder there and resolves to its path. */
  unpack(name: string, archive: Readable, signal: AbortSignal): Promise<string>;
  /** Writes a file there, mode 0600, and resolves to its path. */
  write(name: string, content: Uint8Array, signal: AbortSignal): Promise<string>;
  /** The same in memory, which no disk keeps. */
  writeSecret(name: string, content: Uint8Array, signal: AbortSignal): Promise<string>;
  /** Text of a small file there. */
  read(name: string, signal: AbortSignal): Promise<string>;
  /** Removes everything. */
  release(): Promise<void>;
}

/**
 * Makes the folders. The same context has the same folder each time, by which BuildKit knows what it received before
 * (buildx names its sessions by the folder's path); only a build of it at the same time gets another one.
 */
export async function openWorkspace(
  agent: AgentClient,
  context: string,
  signal: AbortSignal,
  roots: WorkspaceRoots = GUEST_ROOTS,
): Promise<Workspace> {
  const usual = createHash('sha256').update(context).digest('hex').slice(0, 16);
  for (const name of [usual, `${usual}-${randomBytes(4).toString('hex')}`]) {
    const places = { directory: `${roots.disk}/${name}`, memory: `${roots.memory}/${name}` };
    const holder = await hold(agent, places, signal);
    if (holder !== null) return workspace(agent, holder, places);
  }
  throw new RosettaVmError('E_STATE', {
    what: 'The build has no folder in the guest.',
    why: `Other builds hold those that it tried under ${roots.disk}.`,
    fix: 'Try again.',
  });
}

interface Places {
  readonly directory: string;
  readonly memory: string;
}

/** Null when another build holds the folder. */
async function hold(agent: AgentClient, places: Places, signal: AbortSignal): Promise<ExecSession | null> {
  const argv = ['sh', '-c', HOLD, 'sh', places.directory, places.memory];
  const session = await agent.exec({ argv, stdin: true }, { signal });
  const end = (): void => session.close();
  signal.addEventListener('abort', end, { once: true });
  try {
    const [said, complaint] = await Promise.all([firstLine(session.stdout), firstLine(session.stderr, session.stdout)]);
    if (said === 'ready') return session;
    const { code } = await session.exit;
    if (code === BUSY) return null;
    throw new RosettaVmError('E_EXEC', {
      what: 'The guest has no room for the build.',
      why: complaint || `The program that makes it ended with ${code}.`,
      fix: '`rosetta-vm status` shows the data disk.',
    });
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** The first line, or what came before the stream's end. With `until`, an end of that stream or its first data will do. */
function firstLine(stream: Readable, until?: Readable): Promise<string> {
  const lines = new LineSplitter(4096, 'The guest');
  return new Promise((resolve, reject) => {
    const finish = (): void => resolve(lines.rest.toString('utf8').trim());
    stream.on('data', (chunk: Buffer) => {
      const line = lines.next(chunk);
      if (line !== undefined) resolve(line);
    });
    stream.once('end', finish);
    stream.once('error', reject);
    until?.once('data', finish);
  });
}

function workspace(agent: AgentClient, holder: ExecSession, { directory, memory }: Places): Workspace {
  const put = async (file: string, content: Uint8Array, signal: AbortSignal): Promise<string> => {
    const argv = ['sh', '-c', 'umask 077; mkdir -p "$(dirname "$1")"; cat >"$1"', 'sh', file];
    const input = Readable.from([Buffer.from(content)]);
    await runInGuest(agent, { argv }, { limitMs: SHORT_LIMIT_MS, signal, input });
    return file;
  };
  return {
    directory,
    async unpack(name, input, signal) {
      const folder = `${directory}/${name}`;
      await runInGuest(agent, { argv: ['mkdir', '-p', folder] }, { limitMs: SHORT_LIMIT_MS, signal });
      const argv = ['tar', '-x', '-p', '--no-same-owner', '-C', folder, '-f', '-'];
      await runInGuest(agent, { argv }, { limitMs: UNPACK_LIMIT_MS, signal, input });
      return folder;
    },
    write: (name, content, signal) => put(`${directory}/${name}`, content, signal),
    writeSecret: (name, content, signal) => put(`${memory}/${name}`, content, signal),
    async read(name, signal) {
      const argv = ['cat', `${directory}/${name}`];
      return (await runInGuest(agent, { argv }, { limitMs: SHORT_LIMIT_MS, signal })).stdout;
    },
    async release() {
      holder.stdin.end();
      const timer = setTimeout(() => holder.close(), END_LIMIT_MS);
      await holder.exit.catch(() => {}).finally(() => clearTimeout(timer));
    },
  };
}
