import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { download, type Wanted } from '../../../images/debian/download.ts';
import { sendRange, serveArchive, type TestArchive } from './support/archive.ts';

const CONTENT = randomBytes(300_000);
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');

let home: string;
let server: TestArchive;

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'rvm-download-'));
  server = await serveArchive({});
  server.replace('/file', CONTENT);
});
afterEach(async () => {
  await server.close();
  await rm(home, { recursive: true, force: true });
});

const wanted = (changes: Partial<Wanted> = {}): Wanted => ({
  name: 'the file',
  sha256: SHA256,
  bytes: CONTENT.length,
  urls: [`${server.url}/file`],
  ...changes,
});
const options = () => ({ downloads: home, id: 'test', title: 'Test', pace: { idleMs: 200, retryMs: 1 } });
const cached = (): Promise<string[]> => readdir(path.join(home, 'sha256'));
/** The number of a process that has ended. */
const deadProcess = (): number => spawnSync(process.execPath, ['-e', '0']).pid;

describe('a download', () => {
  it('is in the cache under its digest, and is not asked for again', async () => {
    const [file = ''] = await download([wanted()], options());
    await download([wanted()], options());

    expect(await readFile(file)).toEqual(CONTENT);
    expect(file).toBe(path.join(home, 'sha256', SHA256));
    expect(server.requests).toEqual(['/file']);
  });

  it('goes on where a truncated one stopped', async () => {
    const ranges: (string | undefined)[] = [];
    server.fault('/file', (request, response, body) => {
      ranges.push(request.headers.range);
      if (ranges.length > 1) return sendRange(request, response, body);
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, 100_000), () => response.destroy());
    });
    const [file = ''] = await download([wanted()], options());

    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=\d+-$/);
    expect(await readFile(file)).toEqual(CONTENT);
    expect(await cached()).toEqual([SHA256]);
  });

  it('takes over what a dead process had fetched', async () => {
    await mkdir(path.join(home, 'sha256'), { recursive: true });
    await writeFile(path.join(home, 'sha256', `${SHA256}.${deadProcess()}-1.part`), CONTENT.subarray(0, 200_000));
    let range: string | undefined;
    server.fault('/file', (request, response, body) => {
      range = request.headers.range;
      sendRange(request, response, body);
    });
    await download([wanted()], options());

    expect(range).toBe('bytes=200000-');
    expect(await cached()).toEqual([SHA256]);
  });

  it('begins anew when the server does not resume', async () => {
    await mkdir(path.join(home, 'sha256'), { recursive: true });
    await writeFile(path.join(home, 'sha256', `${SHA256}.${deadProcess()}-1.part`), CONTENT.subarray(0, 9));
    server.fault('/file', (_, response, body) => void response.end(body));
    const [file = ''] = await download([wanted()], options());

    expect(await readFile(file)).toEqual(CONTENT);
  });

  it('replaces a file of the cache that has been damaged', async () => {
    await mkdir(path.join(home, 'sha256'), { recursive: true });
    await writeFile(path.join(home, 'sha256', SHA256), Buffer.alloc(CONTENT.length));
    const [file = ''] = await download([wanted()], options());

    expect(await readFile(file)).toEqual(CONTENT);
  });

  it('tries the next address when one has nothing', async () => {
    await download([wanted({ urls: [`${server.url}/absent`, `${server.url}/file`] })], options());

    expect(server.requests).toEqual(['/absent', '/file']);
  });

  it('reports bytes up to the whole', async () => {
    let last = 0;
    await download([wanted()], {
      ...options(),
      onProgress: (event) => {
        if (event.kind === 'bytes') last = event.doneBytes;
      },
    });

    expect(last).toBe(CONTENT.length);
  });
});

describe('a download that cannot be', () => {
  it('is refused when its digest is another, and leaves no part to go on from', async () => {
    server.replace('/file', Buffer.alloc(CONTENT.length));

    await expect(download([wanted()], options())).rejects.toMatchObject({
      code: 'E_VERIFY',
      facts: { sha256: SHA256 },
    });
    expect(await cached()).toEqual([]);
  });

  it('is refused when it is longer than the index says', async () => {
    server.replace('/file', Buffer.concat([CONTENT, CONTENT]));

    await expect(download([wanted()], options())).rejects.toMatchObject({ code: 'E_VERIFY' });
  });

  it('does not ask again for what the server does not have', async () => {
    await expect(download([wanted({ urls: [`${server.url}/absent`] })], options())).rejects.toMatchObject({
      code: 'E_NETWORK',
      facts: { status: 404 },
    });
    expect(server.requests).toEqual(['/absent']);
  });

  it('gives up on a silent server', async () => {
    server.fault('/file', () => {});

    await expect(download([wanted()], { ...options(), pace: { idleMs: 20, retryMs: 1 } })).rejects.toMatchObject({
      code: 'E_NETWORK',
    });
    expect(server.requests).toHaveLength(5);
  });

  it('stops at once when it is aborted', async () => {
    const abort = new AbortController();
    server.fault('/file', () => abort.abort());

    await expect(download([wanted()], { ...options(), signal: abort.signal })).rejects.toMatchObject({
      code: 'E_ABORTED',
      exitStatus: 130,
    });
  });

  it('says that the disk is full, and frees what it had written', async () => {
    // A part of a dead process is taken over under a new name: here it leads to the device that is always full.
    expect(existsSync('/dev/full'), 'this test needs Linux’s /dev/full').toBe(true);
    await mkdir(path.join(home, 'sha256'), { recursive: true });
    await symlink('/dev/full', path.join(home, 'sha256', `${SHA256}.${deadProcess()}-1.part`));

    await expect(download([wanted()], options())).rejects.toMatchObject({ code: 'E_DISK_FULL' });
    expect(await cached()).toEqual([]);
  });
});
