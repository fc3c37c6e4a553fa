/** Changes of the machine that end with the host's program: the real agent and the real client, over the agent's socket. */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Loans } from '../../../guest/translators/loans.ts';
import { type AgentClient, agentClient } from '../../../host/channel/agent-client.ts';
import { startTestAgent, type TestAgent, TOKEN } from './agent-harness.ts';

let guest: TestAgent;
let client: AgentClient;
/** The last connection that the client made. */
let connection: Socket;
beforeAll(async () => {
  guest = await startTestAgent();
  client = agentClient({
    token: TOKEN,
    connect: async () => {
      connection = connect(guest.settings.socket);
      return connection;
    },
  });
});
afterAll(() => guest[Symbol.asyncDispose]());

/** What the agent has said of the cache’s switch, in order: for that no translator is needed. */
async function switches(): Promise<string[]> {
  const said: string[] = [];
  for await (const { part, message } of client.logs()) if (part === 'cache' && /is o/.test(message)) said.push(message);
  return said;
}
const ON = 'The cache is on.';
const OFF = 'The cache is off.';

describe('the cache is off', () => {
  it('while it is held off, and on when the release resolves', async () => {
    const before = (await switches()).length;
    const hold = await client.cacheHoldOff();
    expect((await switches()).slice(before)).toEqual([OFF]);
    await hold.release();
    expect((await switches()).slice(before)).toEqual([OFF, ON]);
  });

  it('no longer than the connection lives, as when the host’s program is killed', async () => {
    const before = (await switches()).length;
    const hold = await client.cacheHoldOff();
    connection.destroy();
    await expect.poll(async () => (await switches()).slice(before)).toEqual([OFF, ON]);
    await hold.release();
  });

  it('until the last one lets go', async () => {
    const before = (await switches()).length;
    const [one, two] = await Promise.all([client.cacheHoldOff(), client.cacheHoldOff()]);
    await one.release();
    await two.release();
    expect((await switches()).slice(before)).toEqual([OFF, OFF, OFF, ON]);
  });
});

describe('another translator', () => {
  it('that does not start is an error, and nothing is held', async () => {
    await expect(client.translatorHold({ name: 'qemu' })).rejects.toMatchObject({ what: expect.any(String) });
    expect((await client.health()).translator).toMatchObject({ state: 'failed', wanted: 'box64' });
  });

  it('is back to the chosen one after all loans, in whatever order they end', async () => {
    const applied: string[] = [];
    const loans = new Loans<string, unknown>('box64', async (name: string) => void applied.push(name));
    const first = await loans.borrow('qemu');
    const second = await loans.borrow('qemu');
    await first();
    expect(applied).toEqual(['qemu', 'qemu']);
    await second();
    expect(applied).toEqual(['qemu', 'qemu', 'box64']);
    const third = await loans.borrow('qemu');
    await loans.choose('rosetta');
    await third();
    expect(applied.slice(3)).toEqual(['qemu', 'rosetta']);
  });

  it('that fails is given back at once', async () => {
    const apply = vi.fn(async (name: string) => {
      if (name === 'broken') throw new Error('broken');
    });
    const loans = new Loans<string, unknown>('box64', apply);
    await expect(loans.borrow('broken')).rejects.toThrow('broken');
    expect(apply.mock.calls.flat()).toEqual(['broken', 'box64']);
  });
});
