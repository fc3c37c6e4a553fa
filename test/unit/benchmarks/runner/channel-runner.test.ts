/** The way to Docker, when Docker is not there yet or says something strange. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bench } from '../../../../benchmarks/runner/benchmark-runner.ts';
import { prepareChannel } from '../../../../benchmarks/runner/channel-runner.ts';
import type { ChannelBenchmark } from '../../../../benchmarks/suites/schema.ts';
import { readTar } from '../../../../images/archive/tar-read.ts';
import { temporaryFolder } from '../../machine/temporary.ts';
import { NATIVE } from './samples.ts';

const DOCKER: ChannelBenchmark = {
  ...{ kind: 'channel', id: 'docker-latency', title: 'Docker', tier: 'quick', probe: 'docker-latency' },
  limitSeconds: 60,
};

/** Docker's socket answers with `answer`, or hangs up. */
function bench(answer: string | null, states: string[] = ['ready']): Bench {
  const forward = async (): Promise<PassThrough> => {
    const stream = new PassThrough();
    stream.write = () => {
      setImmediate(() => (answer === null ? stream.destroy() : stream.push(answer)));
      return true;
    };
    return stream;
  };
  const health = async () => ({ engine: { state: states.length > 1 ? states.shift() : states[0] } });
  return { agent: { forward, health }, machine: 'default', signal: new AbortController().signal } as unknown as Bench;
}

describe('Docker’s latency', () => {
  test('is measured as soon as Docker is there, which after a start it is not yet', async () => {
    const states = ['starting', 'ready'];
    const runner = await prepareChannel(bench('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK', states), DOCKER);
    expect(states).toEqual(['ready']);
    expect((await runner.sample(NATIVE)).value).toBeGreaterThan(0);
  });

  test.each([
    ['an answer that is none of Docker’s', 'HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n'],
    ['a connection that is hung up', null],
  ])('%s breaks this benchmark alone', async (_what, answer) => {
    const runner = await prepareChannel(bench(answer), DOCKER);
    await expect(runner.sample(NATIVE)).rejects.toMatchObject({ code: 'E_EXEC', what: 'Docker failed.' });
  });
});

/** Docker with at most one image and one container, over a socket of its own. `refuse` is a request that fails. */
async function standInDocker(refuse: string | null = null) {
  const docker = { asked: [] as string[], image: false, container: false, archive: Buffer.alloc(0) as Buffer };
  const answers: Readonly<Record<string, (body: Buffer, response: ServerResponse) => number>> = {
    'DELETE /containers/rosetta-vm-bench-copy': () => gone('container'),
    'DELETE /images/rosetta-vm-bench-copy': () => (docker.container ? 409 : gone('image')),
    'POST /images/create': () => made('image', 200),
    'POST /containers/create': () => (docker.image && !docker.container ? made('container', 201) : 409),
    'PUT /containers/rosetta-vm-bench-copy/archive': (body) => {
      docker.archive = body;
      return docker.container ? 200 : 404;
    },
    'GET /containers/rosetta-vm-bench-copy/archive': (_body, response) => {
      response.write(docker.archive);
      return 200;
    },
  };
  const gone = (what: 'image' | 'container'): number => {
    const was = docker[what];
    docker[what] = false;
    return was ? 204 : 404;
  };
  const made = (what: 'image' | 'container', status: number): number => {
    docker[what] = true;
    return status;
  };
  const server = createServer(async (request, response) => {
    const place = `${request.method} ${new URL(request.url ?? '', 'http://docker').pathname}`;
    docker.asked.push(place);
    const answer = answers[place];
    const body = await buffer(request);
    response.statusCode = place === refuse ? 500 : (answer?.(body, response) ?? 404);
    response.end();
  });
  const socket = path.join(await temporaryFolder(), 'docker.sock');
  server.listen(socket);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const forward = async () => {
    const stream = connect(socket);
    await once(stream, 'connect');
    return stream;
  };
  const health = async () => ({ engine: { state: 'ready' } });
  const agent = { forward, health };
  const it = { agent, machine: 'default', signal: new AbortController().signal } as unknown as Bench;
  return { docker, bench: it };
}

const copy = (probe: 'docker-upload' | 'docker-download'): ChannelBenchmark => ({
  ...{ kind: 'channel', id: probe, title: 'docker cp', tier: 'quick', probe, bytes: 700_001, limitSeconds: 60 },
});

describe('docker cp through Docker’s socket', () => {
  test.each(['docker-upload', 'docker-download'] as const)(
    '%s is measured in a container that goes again',
    async (probe) => {
      const { docker, bench } = await standInDocker();
      const runner = await prepareChannel(bench, copy(probe));
      expect(docker).toMatchObject({ image: true, container: true });
      expect((await runner.sample(NATIVE)).value).toBeGreaterThan(0);
      const entries = [];
      for await (const { path: name, type, bytes } of readTar(Readable.from([docker.archive]), 'it'))
        entries.push({ name, type, bytes });
      expect(entries).toEqual([{ name: 'payload', type: 'file', bytes: 700_001 }]);
      expect(docker.archive.length % 512).toBe(0);
      await runner.dispose();
      expect(docker).toMatchObject({ image: false, container: false });
    },
  );

  test('takes away first what a killed session left', async () => {
    const { docker, bench } = await standInDocker();
    await prepareChannel(bench, copy('docker-upload'));
    const runner = await prepareChannel(bench, copy('docker-upload'));
    expect((await runner.sample(NATIVE)).value).toBeGreaterThan(0);
    expect(docker.asked.filter((one) => one === 'POST /containers/create')).toHaveLength(2);
  });

  test.each(['POST /images/create', 'POST /containers/create'])(
    'breaks this benchmark alone when Docker refuses: %s',
    async (refused) => {
      const { bench } = await standInDocker(refused);
      await expect(prepareChannel(bench, copy('docker-upload'))).rejects.toMatchObject({
        ...{ code: 'E_EXEC', what: 'docker cp failed.', why: expect.stringContaining('status 500') },
      });
    },
  );

  test('is no sample when a part is missing, or Docker refuses it', async () => {
    const { docker, bench } = await standInDocker();
    const runner = await prepareChannel(bench, copy('docker-download'));
    const whole = docker.archive;
    docker.archive = whole.subarray(0, 100_000);
    await expect(runner.sample(NATIVE)).rejects.toMatchObject({ code: 'E_INVALID' });
    docker.archive = whole.subarray(-1024);
    await expect(runner.sample(NATIVE)).rejects.toMatchObject({ code: 'E_VERIFY', why: '0 of 700001 bytes came.' });
    docker.container = false;
    const upload = await prepareChannel(bench, copy('docker-upload'));
    docker.container = false;
    await expect(upload.sample(NATIVE)).rejects.toMatchObject({ code: 'E_EXEC' });
  });
});
