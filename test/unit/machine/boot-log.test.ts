import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AGENT_LISTENS } from '../../../guest/protocol.ts';
import {
  BOOT_LOG_LIMITS,
  cutBootLog,
  limitBootLog,
  readBootLog,
  waitForAnnouncement,
} from '../../../host/machine/boot-log.ts';
import { machineFolder } from '../../../host/machine/record.ts';
import { statePaths } from '../../../host/paths.ts';
import { tryLock } from '../../../host/process/lock.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rvm-boot-log-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const never = new AbortController().signal;
const small = { maxBytes: 100, cutBytes: 60 };

describe('waiting for the agent’s word', () => {
  it('lasts until it comes, and not for the time limit', async () => {
    const log = path.join(folder, 'serial.log');
    let announced = false;
    const waiting = waitForAnnouncement(log, { timeoutMs: 60_000, signal: never }).then(() => {
      announced = true;
    });
    await writeFile(log, '[    0.1] Booting Linux\r\n');
    await sleep(100);
    expect(announced).toBe(false);
    await appendFile(log, AGENT_LISTENS.slice(0, 9));
    await sleep(100);
    expect(announced).toBe(false);
    await appendFile(log, `${AGENT_LISTENS.slice(9)}\r\n`);
    await waiting;
  });

  it.each([0, 1, 9, AGENT_LISTENS.length - 1])('finds it %i bytes before a border of what is read', async (before) => {
    const log = path.join(folder, `border-${before}.log`);
    await writeFile(log, `${'x'.repeat(64 * 1024 - before)}${AGENT_LISTENS}\r\n${'y'.repeat(100_000)}`);
    await waitForAnnouncement(log, { timeoutMs: 60_000, signal: never });
  });

  it('lasts no longer than the limit for a line that was torn', async () => {
    const log = path.join(folder, 'torn.log');
    await writeFile(log, AGENT_LISTENS.replace(' ', ' [   2.0] a message of the kernel\r\n'));
    await waitForAnnouncement(log, { timeoutMs: 100, signal: never });
  });

  it('ends with the reason of its signal', async () => {
    const abort = new AbortController();
    const waiting = waitForAnnouncement(path.join(folder, 'none.log'), { timeoutMs: 60_000, signal: abort.signal });
    abort.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });
});

describe('a log over its limit', () => {
  it('loses whole cuts from its beginning and nothing else, and stays the same file', async () => {
    const log = path.join(folder, 'cut.log');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (content) => {
        await writeFile(log, content);
        const { ino } = await stat(log);
        cutBootLog(log, small);
        const cut = Math.max(0, Math.ceil((content.length - small.maxBytes) / small.cutBytes)) * small.cutBytes;
        expect(await readFile(log)).toEqual(Buffer.from(content.subarray(cut)));
        expect((await stat(log)).ino).toBe(ino);
      }),
      { numRuns: 50 },
    );
  });

  it('is cut while the machine runs, and what a writer appends meanwhile is kept', async () => {
    const log = path.join(folder, 'running.log');
    await writeFile(log, Buffer.alloc(BOOT_LOG_LIMITS.maxBytes, 'a'));
    const complain = vi.fn();
    const limit = limitBootLog(log, complain);
    try {
      await appendFile(log, 'last words');
      await expect.poll(async () => (await stat(log)).size).toBeLessThan(8 * 1024 * 1024);
      await appendFile(log, ' and more');
    } finally {
      await limit.close();
    }
    const left = await readFile(log);
    expect(left.length).toBe(BOOT_LOG_LIMITS.maxBytes - BOOT_LOG_LIMITS.cutBytes + 'last words and more'.length);
    expect(left.subarray(-20).toString()).toBe('alast words and more');
    expect(complain).not.toHaveBeenCalled();
  });

  it('complains once when the log cannot be looked at', async () => {
    const complain = vi.fn();
    const limit = limitBootLog(path.join(folder, 'gone', 'serial.log'), complain);
    await expect.poll(() => complain.mock.calls.length).toBe(1);
    await limit.close();
  });
});

describe('following a log', () => {
  async function running(name: string) {
    const machine = machineFolder(statePaths({ ROSETTA_VM_HOME: path.join(folder, name) }), 'm');
    await mkdir(machine.directory, { recursive: true });
    const lock = await tryLock(machine.hostLock);
    await writeFile(machine.serialLog, '');
    let seen = '';
    const abort = new AbortController();
    const reading = (async () => {
      for await (const chunk of readBootLog(machine, { follow: true, signal: abort.signal, limits: small })) {
        seen += Buffer.from(chunk).toString('latin1');
      }
    })();
    const sees = (text: string) => expect.poll(() => seen).toBe(text);
    const end = async () => {
      abort.abort();
      await reading;
      await lock?.release();
    };
    return { log: machine.serialLog, sees, end };
  }

  it('shows each byte once, over cuts', async () => {
    const { log, sees, end } = await running('cuts');
    let all = '';
    for (let round = 0; round < 4; round += 1) {
      const line = `${round}`.repeat(45);
      await appendFile(log, line);
      all += line;
      await sees(all);
      cutBootLog(log, small);
    }
    await end();
    expect((await stat(log)).size).toBeLessThanOrEqual(small.maxBytes);
  });

  it('begins anew with a new boot', async () => {
    const { log, sees, end } = await running('boots');
    await appendFile(log, 'a'.repeat(90));
    await sees('a'.repeat(90));
    await writeFile(log, 'b');
    await sees(`${'a'.repeat(90)}b`);
    await end();
  });
});
