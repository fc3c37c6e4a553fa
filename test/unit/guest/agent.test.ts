import { once } from 'node:events';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAgent } from '../../../guest/agent/agent.ts';
import { AGENT_LISTENS, FORWARD_UPGRADE, PROTOCOL_VERSION } from '../../../guest/protocol.ts';
import { ask, linkTo, startTestAgent, type TestAgent, TOKEN, temporarySettings, upgrade } from './agent-harness.ts';

let guest: TestAgent;
let socket: string;
beforeAll(async () => {
  guest = await startTestAgent();
  socket = guest.settings.socket;
});
afterAll(() => guest[Symbol.asyncDispose]());

describe('the agent', () => {
  it('reports health while the data disk and the translator are out of order', async () => {
    const { status, body } = await ask(socket, 'GET', '/v1/health');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      protocol: PROTOCOL_VERSION,
      machine: 'test',
      dataDisk: { state: 'failed', reason: expect.stringContaining('/dev/rvm-no-such-disk') },
      translator: { state: 'failed', wanted: 'box64' },
      cache: { state: 'off' },
    });
  });

  it('does not look for Apple’s translator in a machine that was started without it', async () => {
    const { body } = await ask(socket, 'PUT', '/v1/translator', { name: 'rosetta' });
    expect(body).toMatchObject({ error: { code: 'E_STATE', fix: expect.stringContaining('translator: rosetta') } });
    await ask(socket, 'PUT', '/v1/translator', { name: 'box64' });
  });

  it('says on the console that it listens', async () => {
    expect(await readFile(guest.settings.console, 'utf8')).toBe(`${AGENT_LISTENS}\n`);
  });

  it('answers about programs while nothing translates them', async () => {
    expect((await ask(socket, 'GET', '/v1/execs')).body).toEqual({ counted: false, translators: [] });
    expect((await ask(socket, 'GET', '/v1/cache/activity?sinceMs=1&untilMs=2')).body).toMatchObject({ newEntries: 0 });
    expect((await ask(socket, 'GET', '/v1/cache/activity?sinceMs=2&untilMs=1')).status).toBe(400);
    expect((await ask(socket, 'GET', '/v1/cache/activity')).status).toBe(400);
    expect((await ask(socket, 'GET', '/v1/cache/deny')).body).toEqual({ rows: [] });
    const row = { program: '/bin/x', from: 'cache', reason: 'test' };
    expect((await ask(socket, 'POST', '/v1/cache/deny', row)).status).toBe(409);
    expect((await ask(socket, 'POST', '/v1/cache/deny', { ...row, program: 'x' })).status).toBe(400);
  });

  it('makes a socket that only its owner may connect to', async () => {
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['no token', {}],
    ['an empty token', { authorization: 'Bearer ' }],
    ['a wrong token of the right length', { authorization: `Bearer ${'cd'.repeat(32)}` }],
    ['a token that is too long', { authorization: `Bearer ${TOKEN}0` }],
    ['another scheme', { authorization: `Basic ${TOKEN}` }],
  ])('answers 401 to a request with %s, and does nothing', async (_what, headers) => {
    const { status, body } = await ask(socket, 'POST', '/v1/shutdown', undefined, headers);
    expect(status).toBe(401);
    expect(body).toMatchObject({
      error: { what: expect.any(String), why: expect.any(String), fix: expect.any(String) },
    });
    expect(guest.powerCalls).toEqual([]);
  });

  it('answers 401 to an upgrade without the token', async () => {
    const refused = upgrade(socket, '/v1/exec', 'rosetta-vm-exec', { authorization: 'Bearer x' });
    await expect(refused).rejects.toMatchObject({ status: 401 });
  });

  it('answers 404 to what it does not know, with and without an upgrade', async () => {
    expect((await ask(socket, 'GET', '/v2/health')).status).toBe(404);
    expect((await ask(socket, 'DELETE', '/v1/health')).status).toBe(404);
    await expect(upgrade(socket, '/v1/exec', 'websocket')).rejects.toMatchObject({ status: 404 });
  });

  it.each([
    ['no body', undefined],
    ['a body that is not JSON', '{'],
    ['another type', { timeMs: 'now' }],
    ['a time before 1970', { timeMs: -1 }],
  ])('answers 400 to a time request with %s', async (_what, body) => {
    const answer = await ask(socket, 'POST', '/v1/time', body);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'E_INVALID' } } });
  });

  it('refuses a body beyond the limit', async () => {
    const answer = await ask(socket, 'POST', '/v1/time', JSON.stringify({ pad: 'x'.repeat(1024 * 1024) }));
    expect(answer).toMatchObject({ status: 413, body: { error: { code: 'E_SIZE' } } });
  });

  it('survives a connection that talks nonsense or goes away', async () => {
    const nonsense = connect(socket);
    nonsense.write('\x00\x01\x02\r\n\r\n');
    await once(nonsense.resume(), 'close');
    const leaver = connect(socket);
    await once(leaver, 'connect');
    leaver.write('GET /v1/exec HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: rosetta-vm-exec\r\n\r\n');
    leaver.destroy();
    await sleep(50);
    expect((await ask(socket, 'GET', '/v1/health')).status).toBe(200);
  });

  it('serves one request a connection', async () => {
    const client = linkTo(socket);
    const request = `GET /v1/health HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`;
    client.write(request + request);
    let text = '';
    client.on('data', (data) => {
      text += String(data);
    });
    await once(client, 'end');
    client.end();
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  });

  it('does not start on a boot configuration that is not valid', async () => {
    const { settings } = await temporarySettings();
    await writeFile(path.join(settings.bootDirectory, 'config.json'), JSON.stringify({ schemaVersion: 2 }));
    await expect(startAgent(settings)).rejects.toMatchObject({ code: 'E_INVALID' });
  });
});

describe('shutdown and restart', () => {
  it('answer first, then act', async () => {
    await using own = await startTestAgent();
    expect((await ask(own.settings.socket, 'POST', '/v1/shutdown')).status).toBe(200);
    while (own.powerCalls.length === 0) await sleep(10);
    expect((await ask(own.settings.socket, 'POST', '/v1/restart')).status).toBe(200);
    while (own.powerCalls.length === 1) await sleep(10);
    expect(own.powerCalls).toEqual(['off', 'restart']);
  });
});

describe('time', () => {
  /** A clock that is wrong by `offset` and takes `delay` ms to be set. */
  const wrongClock = (offset: number, delay: number) => {
    const clock = { offset, sets: 0 };
    return {
      state: clock,
      now: () => Date.now() + clock.offset,
      set: async (timeMs: number) => {
        clock.sets += 1;
        await sleep(delay);
        clock.offset = timeMs - Date.now();
      },
    };
  };

  it('corrects a clock that is wrong, also by the time that setting it takes', async () => {
    const clock = wrongClock(-3600_000, 120);
    await using own = await startTestAgent({ clock });
    const { body } = await ask(own.settings.socket, 'POST', '/v1/time', { timeMs: Date.now() });
    expect(body).toMatchObject({ corrected: true, skewMs: expect.any(Number) });
    expect(Math.abs(clock.state.offset)).toBeLessThanOrEqual(60);
  });

  it('leaves a skew alone that may be the request’s own delay', async () => {
    const clock = wrongClock(150, 0);
    await using own = await startTestAgent({ clock });
    const { body } = await ask(own.settings.socket, 'POST', '/v1/time', { timeMs: Date.now() });
    expect(body).toMatchObject({ corrected: false });
    expect(clock.state.sets).toBe(0);
  });
});

describe('logs', () => {
  it('are newline JSON with time, level, part and message', async () => {
    const { body } = await ask(socket, 'GET', '/v1/logs');
    const lines = String(body)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({
      timeMs: expect.any(Number),
      level: 'info',
      part: 'agent',
      message: 'The agent listens.',
    });
  });

  it('go on while they are followed', async () => {
    const client = linkTo(socket);
    client.write(`GET /v1/logs?follow=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
    let text = '';
    client.on('data', (data) => {
      text += String(data);
    });
    while (!text.includes('The agent listens.')) await sleep(10);
    await ask(socket, 'PUT', '/v1/cache', { enabled: false });
    while (!text.includes('The cache is off.')) await sleep(10);
    client.destroy();
  });
});

describe('forward', () => {
  let server: Server;
  let target: string;
  beforeAll(async () => {
    target = path.join(await mkdtemp(path.join(guest.directory, 'forward-')), 's');
    // Answers only after the other side has ended, so it needs half-close.
    server = createServer({ allowHalfOpen: true }, (peer) => {
      let bytes = 0;
      peer.on('data', (data) => {
        bytes += data.length;
      });
      peer.on('end', () => peer.end(`got ${bytes}`));
    });
    server.listen(target);
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  it('carries bytes both ways and ends each direction on its own', async () => {
    const stream = await upgrade(socket, `/v1/forward?path=${encodeURIComponent(target)}`, FORWARD_UPGRADE);
    stream.write(Buffer.alloc(3_000_000));
    stream.end();
    let text = '';
    for await (const piece of stream) text += String(piece);
    expect(text).toBe('got 3000000');
  });

  it('answers 404 when nothing listens at the path, 400 when it is not absolute', async () => {
    const nowhere = upgrade(socket, '/v1/forward?path=/no/such/socket', FORWARD_UPGRADE);
    await expect(nowhere).rejects.toMatchObject({ status: 404 });
    await expect(upgrade(socket, '/v1/forward?path=x', FORWARD_UPGRADE)).rejects.toMatchObject({ status: 400 });
  });
});
