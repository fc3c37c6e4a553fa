/** A build's folders, held by a real shell on this host through the real agent. */
import { access, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { openWorkspace } from '../../../host/build/workspace.ts';
import { agentClient } from '../../../host/channel/agent-client.ts';
import { connectUnix } from '../../../host/channel/connect-unix.ts';
import { realAgent } from '../cli/stand-in.ts';
import { temporaryFolder } from '../machine/temporary.ts';

const { signal } = new AbortController();

async function place() {
  const { socket, token } = await realAgent();
  const folder = await temporaryFolder();
  const roots = { disk: path.join(folder, 'disk'), memory: path.join(folder, 'memory') };
  const agent = agentClient({ connect: () => connectUnix(socket), token });
  return { agent, roots, open: (context: string) => openWorkspace(agent, context, signal, roots) };
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

test('files come and go with it, secrets for nobody else to read', async () => {
  const { open } = await place();
  const workspace = await open('/src/a');
  const file = await workspace.write('definition/Dockerfile', Buffer.from('FROM scratch'), signal);
  const secret = await workspace.writeSecret('0', Buffer.from([0, 255]), signal);
  expect(await workspace.read('definition/Dockerfile', signal)).toBe('FROM scratch');
  expect(await readFile(secret)).toEqual(Buffer.from([0, 255]));
  expect((await stat(secret)).mode & 0o777).toBe(0o600);
  expect((await stat(path.dirname(secret))).mode & 0o777).toBe(0o700);
  await workspace.release();
  expect([await exists(file), await exists(secret)]).toEqual([false, false]);
});

test('one context has one folder, but for two builds at the same time', async () => {
  const { open } = await place();
  const first = await open('/src/a');
  const beside = await open('/src/a');
  expect(beside.directory).not.toBe(first.directory);
  await first.release();
  const again = await open('/src/a');
  expect(again.directory).toBe(first.directory);
  await Promise.all([beside.release(), again.release()]);
});

test('what a vanished host left is removed by the next build, what is in use is not', async () => {
  const { open, roots } = await place();
  const inUse = await open('/src/used');
  await inUse.write('file', Buffer.from('x'), signal);
  await mkdir(path.join(roots.disk, 'left', 'context'), { recursive: true });
  const next = await open('/src/next');
  const folders = (await readdir(roots.disk)).filter((name) => !name.endsWith('.lock')).sort();
  expect(folders).toEqual([path.basename(inUse.directory), path.basename(next.directory)].sort());
  await Promise.all([inUse.release(), next.release()]);
});

test('an archive that is none fails with what tar says', async () => {
  const { open } = await place();
  const workspace = await open('/src/a');
  await expect(workspace.unpack('context', Readable.from([Buffer.alloc(2048, 'x')]), signal)).rejects.toMatchObject({
    code: 'E_EXEC',
  });
  await workspace.release();
});
