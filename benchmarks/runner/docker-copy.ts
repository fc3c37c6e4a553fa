/**
 * What `docker cp` does, so that Docker's socket is measured with something to carry (Docker Engine API: ImageCreate,
 * ContainerCreate, PutContainerArchive, ContainerArchive). The container has one file, and is never started.
 */
import { Header } from 'tar';
import { type Asking, askEngine, type EngineRequest } from '../../host/docker/api.ts';
import { readTar } from '../../images/archive/tar-read.ts';

const NAME = 'rosetta-vm-bench-copy';
const FILE = 'payload';
const BLOCK_BYTES = 512;
/** Two blocks of zeros end an archive (pax, "ustar Interchange Format"); nothing before them is an empty one. */
const END = Buffer.alloc(2 * BLOCK_BYTES);

/** Makes the container, instead of one that a killed session left. Throws `E_PROTOCOL` when Docker refuses. */
export async function makeCopyContainer(agent: Asking, signal: AbortSignal): Promise<void> {
  await removeCopyContainer(agent, signal);
  const image = new URLSearchParams({ fromSrc: '-', repo: NAME, tag: 'latest' });
  await tell(agent, { method: 'POST', path: `/images/create?${image}`, body: [END] }, signal);
  const settings = Buffer.from(JSON.stringify({ Image: NAME, Cmd: ['never'], NetworkDisabled: true }));
  const create = { method: 'POST', path: `/containers/create?name=${NAME}`, type: 'application/json' } as const;
  await tell(agent, { ...create, body: [settings] }, signal);
}

/** Also when there is none. */
export async function removeCopyContainer(agent: Asking, signal: AbortSignal): Promise<void> {
  for (const path of [`/containers/${NAME}?force=1`, `/images/${NAME}?force=1`]) {
    await tell(agent, { method: 'DELETE', path, accepts: [404] }, signal);
  }
}

/** Writes a file of so many bytes into the container. */
export async function copyIn(
  agent: Asking,
  content: AsyncIterable<Buffer>,
  bytes: number,
  signal: AbortSignal,
): Promise<void> {
  const path = `/containers/${NAME}/archive?path=/`;
  await tell(agent, { method: 'PUT', path, type: 'application/x-tar', body: archiveOf(content, bytes) }, signal);
}

/** Reads the file out of the container, and resolves to its length. */
export async function copyOut(agent: Asking, signal: AbortSignal): Promise<number> {
  const answer = await askEngine(agent, { path: `/containers/${NAME}/archive?path=/${FILE}` }, signal);
  let bytes = 0;
  for await (const entry of readTar(answer, 'Docker’s archive')) bytes += entry.bytes;
  return bytes;
}

async function* archiveOf(content: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  const header = new Header({ path: FILE, mode: 0o644, size: bytes, type: 'File', mtime: new Date(0) });
  const block = Buffer.alloc(BLOCK_BYTES);
  header.encode(block);
  yield block;
  yield* content;
  yield Buffer.alloc((BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES);
  yield END;
}

/** Asks, and reads the answer to its end. */
async function tell(agent: Asking, request: EngineRequest, signal: AbortSignal): Promise<void> {
  for await (const _ of await askEngine(agent, request, signal));
}
