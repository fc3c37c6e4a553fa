import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Log } from '../../../guest/agent/log.ts';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'rvm-log-'));
  file = path.join(directory, 'log', 'agent.log');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('the agent’s log', () => {
  it('stays within two files of its limit and keeps the newest lines', async () => {
    const log = new Log(file, 10_000);
    for (let i = 0; i < 500; i += 1) {
      log.part('test').info(`line ${i}`);
      if (i % 20 === 0) await log.flush();
    }
    const lines = (await log.read()).trim().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ part: 'test', level: 'info', message: 'line 499' });
    expect((await stat(file)).size).toBeLessThanOrEqual(10_000);
    expect((await stat(`${file}.1`)).size).toBeLessThanOrEqual(10_000);
  });

  it('keeps the order of lines and cuts messages that are too long', async () => {
    const log = new Log(file);
    for (let i = 0; i < 100; i += 1) log.part('test').info(String(i));
    log.part('test').error('x'.repeat(100_000), { code: 1 });
    const lines = (await log.read())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.slice(0, 100).map(({ message }) => Number(message))).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(lines[100].message.length).toBeLessThan(10_000);
    expect(lines[100].fields).toEqual({ code: 1 });
  });

  it('goes on to its followers when it cannot be written', async () => {
    const log = new Log('/dev/null/agent.log');
    const seen: string[] = [];
    const stop = log.follow((line) => seen.push(line));
    log.part('test').warn('still here');
    stop();
    log.part('test').warn('not followed');
    await log.flush();
    expect(seen.map((line) => JSON.parse(line).message)).toEqual(['still here']);
  });
});
