/**
 * The addon's parts that are plain C++ (Node-API face, verbs, lines, channel), compiled here and loaded into this Node,
 * over a stand-in for the core. Their text must be what the driver reads: it goes through the driver's own parser.
 */
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  ADDON_DOMAIN,
  ADDON_FAILURES,
  ADDON_PROTOCOL,
  VZ_STATES,
  type VzAddon,
  type VzLine,
} from '../../../host/drivers/vz/addon.ts';
import { parseLine, thrownFailure } from '../../../host/drivers/vz/messages.ts';
import { MODULES, NATIVE, sources } from './type-check.ts';

const STAND_IN = fileURLToPath(new URL('core-stand-in.cc', import.meta.url));

let folder: string;
let addon: VzAddon;
const open: Socket[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rosetta-vm-face-'));
  const library = path.join(folder, 'vz.node');
  const plain = (await sources()).filter((file) => file.endsWith('.cc'));
  await execa(
    'clang++',
    ['-shared', '-fPIC', '-pthread', '-std=c++20', '-fno-rtti', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter']
      .concat(['-DNAPI_VERSION=8', '-DNAPI_CPP_EXCEPTIONS', `-I${path.join(NATIVE, 'src')}`])
      .concat(['node-addon-api', 'node-api-headers/include'].flatMap((name) => ['-isystem', path.join(MODULES, name)]))
      .concat([...plain, STAND_IN, '-o', library]),
    { timeout: 240_000 },
  );
  addon = createRequire(import.meta.url)(library) as VzAddon;
}, 250_000);

afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});
afterAll(() => rm(folder, { recursive: true }));

/** The channel as a socket, and its lines as they come. */
function channel(events: number): { readonly socket: Socket; readonly lines: VzLine[] } {
  const socket = new Socket({ fd: events, readable: true, writable: false });
  open.push(socket);
  const lines: VzLine[] = [];
  let rest = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    const texts = (rest + chunk).split('\n');
    rest = texts.pop() ?? '';
    for (const text of texts) {
      const line = parseLine(text);
      if (line !== null) lines.push(line);
    }
  });
  return { socket, lines };
}

/** All lines of a new machine that is asked one thing and then closed. */
async function linesOf(verb: Parameters<VzAddon['request']>[2], argument: string | number | null): Promise<VzLine[]> {
  const { handle, events } = addon.createMachine('{}');
  const { socket, lines } = channel(events);
  addon.request(handle, 9, verb, argument);
  addon.closeMachine(handle);
  await once(socket, 'end');
  return lines;
}

function failureOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return thrownFailure(error);
  }
  return 'nothing was thrown';
}

const invalid = { domain: ADDON_DOMAIN, code: ADDON_FAILURES.invalid };

describe('the addon', () => {
  it('speaks the protocol of the contract', () => {
    expect(addon.protocol).toBe(ADDON_PROTOCOL);
    expect(addon.hostReport()).toBe('{}');
    expect(addon.newMachineIdentifier()).toBe('YQ==');
  });

  it('names the states as the contract does, in the order of the framework’s numbers, and no other', async () => {
    const lines = await linesOf('start', null);
    expect(lines).toEqual([...VZ_STATES.map((state) => ({ event: 'state', state })), { id: 9, ok: true, value: null }]);
  });

  it('sends replies and events that the driver reads', async () => {
    expect(await linesOf('stop', null)).toEqual([
      { event: 'stopped', error: null },
      { id: 9, ok: true, value: null },
    ]);
    expect(await linesOf('connect', 1024)).toEqual([{ id: 9, ok: true, value: { connection: 7, fd: 1024 } }]);
    const error = {
      domain: 'VZErrorDomain',
      code: 11,
      message: '/päth "x"',
      reason: 'a "reason"\n\u0001\uFFFD',
      subject: 'disks[1]',
    };
    expect(await linesOf('save', '/päth "x"')).toEqual([
      { event: 'disk', disk: 3, kind: 'error', error },
      { event: 'disk', disk: 3, kind: 'connected', error: null },
      { event: 'network', error },
      { event: 'stopped', error },
      { id: 9, ok: false, error },
    ]);
  });

  it('carries any path unharmed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 300 }), async (text) => {
        const wanted = `/${text.replaceAll('\0', '')}`;
        const [line] = await linesOf('save', wanted);
        expect(line).toMatchObject({ error: { message: Buffer.from(wanted).toString() } });
      }),
      { numRuns: 50 },
    );
    const [line] = await linesOf('save', `/${'x'.repeat(4095)}`);
    expect(line).toMatchObject({ error: { message: `/${'x'.repeat(4095)}` } });
  });

  it('cuts a failure’s texts at 4096 bytes, well below what the driver takes as a line', () => {
    expect(failureOf(() => addon.createMachine('long'))).toMatchObject({
      message: `x${'ä'.repeat(2047)}\uFFFD`,
      reason: 'ä'.repeat(2048),
      subject: 'ä'.repeat(2048),
    });
  });

  it('throws the core’s failure with its fields, and any other error as its own', () => {
    expect(failureOf(() => addon.createMachine('fail'))).toEqual({
      domain: 'VZErrorDomain',
      code: 2,
      message: 'No entitlement.',
      reason: 'None at all.',
      subject: '',
    });
    expect(failureOf(() => addon.createMachine('throw'))).toMatchObject({ ...invalid, reason: 'out of luck' });
  });

  it('refuses what is no argument of a verb', () => {
    const { handle, events } = addon.createMachine('{}');
    channel(events);
    const bad: readonly (readonly [string, unknown])[] = [
      ['start', 1],
      ['stop', '/x'],
      ['connect', null],
      ['connect', -1],
      ['connect', 1.5],
      ['connect', 4294967295],
      ['connect', Number.NaN],
      ['release', '1'],
      ['balloon', Number.POSITIVE_INFINITY],
      ['save', 'relative'],
      ['save', ''],
      ['restore', 3],
      ['restore', `/${'x'.repeat(4096)}`],
      ['restore', '/nul\0'],
      ['save', {}],
      ['dance', null],
      ['', null],
    ];
    for (const [verb, argument] of bad) {
      const failure = failureOf(() => addon.request(handle, 1, verb as 'start', argument as null));
      expect(failure, `${verb} ${String(argument)}`).toMatchObject(invalid);
    }
    for (const id of [-1, 0.5, Number.NaN, '1', null]) {
      expect(failureOf(() => addon.request(handle, id as number, 'start', null))).toMatchObject(invalid);
    }
    for (const configuration of [null, 1, {}, 'x'.repeat(1024 * 1024 + 1)]) {
      expect(failureOf(() => addon.createMachine(configuration as string))).toMatchObject(invalid);
    }
    addon.closeMachine(handle);
  });

  it('knows its machines: a request to none, or to a closed one, is refused; closing twice is nothing', async () => {
    const { handle, events } = addon.createMachine('{}');
    const { socket, lines } = channel(events);
    addon.closeMachine(handle);
    addon.closeMachine(handle);
    await once(socket, 'end');
    expect(lines).toEqual([]);
    for (const unknown of [handle, handle + 1]) {
      expect(failureOf(() => addon.request(unknown, 1, 'start', null))).toMatchObject({
        domain: ADDON_DOMAIN,
        code: ADDON_FAILURES.absent,
      });
    }
  });

  it('sends lines of several threads whole, and all of them', async () => {
    const lines = await linesOf('balloon', 2000);
    expect(lines).toHaveLength(4001);
    expect(lines.at(-1)).toEqual({ id: 9, ok: true, value: { connection: 2000, fd: 0 } });
  });

  it('gives a channel up whose reader does not read, without waiting for it', async () => {
    const { handle, events } = addon.createMachine('{}');
    // 17 bytes a line and 200,000 lines: three times what may wait, and the socket's own buffer.
    addon.request(handle, 1, 'balloon', 100_000);
    addon.request(handle, 2, 'start', null);
    const { socket, lines } = channel(events);
    await once(socket, 'end');
    expect(lines.length).toBeLessThan(100_000);
    expect(lines.some((line) => 'id' in line)).toBe(false);
    addon.closeMachine(handle);
  });

  it('outlives a reader that closes', async () => {
    const { handle, events } = addon.createMachine('{}');
    const { socket } = channel(events);
    socket.destroy();
    await once(socket, 'close');
    addon.request(handle, 1, 'balloon', 10);
    addon.request(handle, 2, 'start', null);
    addon.closeMachine(handle);
  });

  it('closes the writer’s end of a watch when its reader closes', async () => {
    const before = (await readdir('/proc/self/fd')).length;
    const { socket, lines } = channel(addon.watchWake().events);
    await once(socket, 'data');
    expect(lines).toEqual([{ event: 'wake' }]);
    socket.destroy();
    await expect.poll(async () => (await readdir('/proc/self/fd')).length).toBeLessThanOrEqual(before);
  });

  it('ends a channel after its last line', async () => {
    const { socket, lines } = channel(addon.installRosetta().events);
    await once(socket, 'end');
    expect(lines).toEqual([{ id: 0, ok: true, value: null }]);
  });
});
