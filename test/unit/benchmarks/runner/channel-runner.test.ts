/** The way to Docker, when Docker is not there yet or says something strange. */
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Bench } from '../../../../benchmarks/runner/benchmark-runner.ts';
import { prepareChannel } from '../../../../benchmarks/runner/channel-runner.ts';
import type { ChannelBenchmark } from '../../../../benchmarks/suites/schema.ts';
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
