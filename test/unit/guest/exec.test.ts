import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FrameType, MAX_FRAME_BYTES } from '../../../guest/protocol.ts';
import { startExec, startTestAgent, type TestAgent } from './agent-harness.ts';

let guest: TestAgent;
let socket: string;
beforeAll(async () => {
  guest = await startTestAgent();
  socket = guest.settings.socket;
});
afterAll(() => guest[Symbol.asyncDispose]());

const sh = (script: string, ...args: string[]): string[] => ['sh', '-c', script, 'sh', ...args];

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(20);
}

describe('exec', () => {
  it('keeps stdout, stderr and the exit code apart', async () => {
    const run = await startExec(socket, { argv: sh('echo out; echo err >&2; exit 7') });
    expect(await run.done).toEqual({ code: 7, signal: null });
    expect([run.stdout, run.stderr]).toEqual(['out\n', 'err\n']);
  });

  it('tells which signal ended a program', async () => {
    const run = await startExec(socket, { argv: sh('kill -SEGV $$') });
    expect(await run.done).toEqual({ code: null, signal: 'SIGSEGV' });
  });

  it('answers 127 with a reason for a program that does not exist, 126 for one that is not executable', async () => {
    const missing = await startExec(socket, { argv: ['/no/such/program'] });
    expect(await missing.done).toMatchObject({ code: 127, signal: null, error: expect.stringContaining('ENOENT') });
    const plain = path.join(guest.directory, 'plain');
    await writeFile(plain, 'text');
    const run = await startExec(socket, { argv: [plain] });
    expect(await run.done).toMatchObject({ code: 126, error: expect.stringContaining('EACCES') });
  });

  it('passes stdin to the program and its end with it', async () => {
    const run = await startExec(socket, { argv: ['cat'], stdin: true });
    run.send(FrameType.stdin, 'one ');
    run.send(FrameType.stdin, 'two');
    run.send(FrameType.stdinEnd);
    expect(await run.done).toEqual({ code: 0, signal: null });
    expect(run.stdout).toBe('one two');
  });

  it('gives a program without stdin an end of file at once', async () => {
    const run = await startExec(socket, { argv: ['cat'] });
    expect(await run.done).toEqual({ code: 0, signal: null });
  });

  it('sets environment and working directory', async () => {
    const run = await startExec(socket, { argv: sh('pwd; echo "$GREETING"'), env: { GREETING: 'a b' }, cwd: '/usr' });
    await run.done;
    expect(run.stdout).toBe('/usr\na b\n');
  });

  it('refuses a working directory that does not exist before anything runs', async () => {
    await expect(startExec(socket, { cwd: '/no/such/folder' })).rejects.toMatchObject({ status: 404 });
  });

  it('refuses a request without arguments', async () => {
    await expect(startExec(socket, { argv: [] })).rejects.toMatchObject({ status: 400 });
  });

  it('carries more output than every buffer holds, whole', async () => {
    const run = await startExec(socket, { argv: sh('head -c 5000000 /dev/zero') });
    expect(await run.done).toEqual({ code: 0, signal: null });
    expect(run.stdout.length).toBe(5_000_000);
  });

  it('stops a program whose output the host does not take', async () => {
    const progress = path.join(guest.directory, 'progress');
    const script = 'i=0; while [ $i -lt 400 ]; do head -c 65536 /dev/zero; i=$((i+1)); echo $i > "$1"; done';
    const run = await startExec(socket, { argv: sh(script, progress) });
    run.stream.pause();
    await sleep(1500);
    // Sockets and pipes hold a few hundred KiB; 400 rounds are 25 MiB.
    expect(Number(await readFile(progress, 'utf8'))).toBeLessThan(100);
    run.stream.resume();
    expect(await run.done).toEqual({ code: 0, signal: null });
    expect(run.stdout.length).toBe(400 * 65_536);
  });

  it('does not take more stdin than the program reads', async () => {
    const run = await startExec(socket, { argv: sh('sleep 1; wc -c'), stdin: true });
    const frame = Buffer.alloc(MAX_FRAME_BYTES);
    let taken = 0;
    const feeder = (async () => {
      for (let i = 0; i < 200; i += 1) {
        run.send(FrameType.stdin, frame);
        taken += 1;
        if (run.stream.writableNeedDrain) await new Promise((resolve) => run.stream.once('drain', resolve));
      }
      run.send(FrameType.stdinEnd);
    })();
    await sleep(600);
    expect(taken).toBeLessThan(50);
    await feeder;
    await run.done;
    expect(run.stdout.trim()).toBe(String(200 * MAX_FRAME_BYTES));
  });

  it('goes on when a program closes its stdin early', async () => {
    const run = await startExec(socket, { argv: sh('exec <&-; sleep 0.3; echo done'), stdin: true });
    for (let i = 0; i < 20; i += 1) run.send(FrameType.stdin, Buffer.alloc(MAX_FRAME_BYTES));
    expect(await run.done).toEqual({ code: 0, signal: null });
    expect(run.stdout).toBe('done\n');
  });

  it('delivers signals to the whole process group', async () => {
    const run = await startExec(socket, { argv: sh('trap "echo caught; exit 3" INT; echo ready; sleep 30 & wait') });
    await run.says('ready');
    run.send(FrameType.signal, 'SIGINT');
    expect(await run.done).toEqual({ code: 3, signal: null });
    expect(run.stdout).toBe('ready\ncaught\n');
  });

  it('does not wait for a background process that keeps the output open', async () => {
    const run = await startExec(socket, { argv: sh('sleep 30 & echo $!') });
    expect(await run.done).toEqual({ code: 0, signal: null });
    process.kill(Number(run.stdout));
  });

  it('hangs up on the program when the host goes', async () => {
    const run = await startExec(socket, { argv: sh('echo $$; sleep 60; true') });
    await run.says('\n');
    run.stream.destroy();
    await gone(Number(run.stdout));
  });

  it('kills a program that ignores the hang-up', async () => {
    const run = await startExec(socket, { argv: sh('trap "" HUP; echo $$; while :; do sleep 1; done') });
    await run.says('\n');
    run.stream.destroy();
    const pid = Number(run.stdout);
    await sleep(500);
    expect(isAlive(pid)).toBe(true);
    await gone(pid);
  }, 15_000);

  it('ends a connection that sends an oversize frame, and its program', async () => {
    const run = await startExec(socket, { argv: sh('echo $$; sleep 60; true'), stdin: true });
    await run.says('\n');
    run.stream.write(Buffer.from([FrameType.stdin, 0xff, 0xff, 0xff, 0xff]));
    await expect(run.done).rejects.toThrow();
    await gone(Number(run.stdout));
  });
});

describe('exec on a terminal', () => {
  const tty = { columns: 91, rows: 27, term: 'xterm-256color' };

  it('gives the program a controlling terminal of the size and type asked for', async () => {
    const run = await startExec(socket, { argv: sh('stty size </dev/tty; tty; echo $TERM'), stdin: true, tty });
    expect(await run.done).toEqual({ code: 0, signal: null });
    expect(run.stdout).toMatch(/^27 91\r\n\/dev\/pts\/\d+\r\nxterm-256color\r\n$/);
  });

  it('keeps the exit code and the signal exact', async () => {
    const code = await startExec(socket, { argv: sh('exit 9'), stdin: true, tty });
    expect(await code.done).toEqual({ code: 9, signal: null });
    const signal = await startExec(socket, { argv: sh('kill -KILL $$'), stdin: true, tty });
    expect(await signal.done).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('carries all output of a program that ends right away', async () => {
    const run = await startExec(socket, { argv: sh('seq 20000'), stdin: true, tty });
    await run.done;
    expect(run.stdout.length).toBe(128_894);
  });

  it('tells the program about a new size', async () => {
    const script = 'trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done';
    const run = await startExec(socket, { argv: sh(script), stdin: true, tty });
    await run.says('ready');
    run.send(FrameType.resize, JSON.stringify({ columns: 120, rows: 50 }));
    expect(await run.done).toEqual({ code: 0, signal: null });
    expect(run.stdout).toContain('50 120');
  });

  it('lets ^C interrupt the foreground program', async () => {
    const run = await startExec(socket, { argv: sh('echo ready; sleep 60'), stdin: true, tty });
    await run.says('ready');
    await sleep(100);
    run.send(FrameType.stdin, '\x03');
    expect(await run.done).toMatchObject({ signal: 'SIGINT' });
  });

  it('turns the end of stdin into an end of file', async () => {
    const run = await startExec(socket, { argv: sh('echo ready; cat >/dev/null; echo over'), stdin: true, tty });
    await run.says('ready');
    run.send(FrameType.stdinEnd);
    expect(await run.done).toEqual({ code: 0, signal: null });
    expect(run.stdout).toContain('over');
  });

  it('hangs up on the program when the host goes', async () => {
    const run = await startExec(socket, { argv: sh('echo pid=$$; sleep 60'), stdin: true, tty });
    await run.says('\n');
    run.stream.destroy();
    await gone(Number(/pid=(\d+)/.exec(run.stdout)?.[1]));
  });
});

describe.runIf(userInfo().uid === 0)('exec as root', () => {
  it('runs as another user, without root’s groups', async () => {
    const run = await startExec(socket, { argv: ['id'], uid: 1234, gid: 4321 });
    await run.done;
    expect(run.stdout).toMatch(/^uid=1234 gid=4321 groups=4321\n$/);
  });

  it('enters another root with /dev, /proc and /sys of the guest, as a user and in a folder of it', async () => {
    const root = await mkdtemp(path.join(guest.directory, 'root-'));
    await chmod(root, 0o755);
    await startExec(socket, {
      argv: sh('cd "$1" && mkdir -p bin dev proc sys work && cp /bin/busybox bin/busybox', root),
    }).then((run) => run.done);
    const run = await startExec(socket, {
      root,
      cwd: '/work',
      uid: 1234,
      gid: 4321,
      argv: [
        '/bin/busybox',
        'sh',
        '-c',
        'pwd; id -u; id -g; [ -c /dev/null ] && [ -r /proc/self/stat ] && ls /sys; exit 5',
      ],
    });
    expect(await run.done).toEqual({ code: 5, signal: null });
    expect(run.stdout).toMatch(/^\/work\n1234\n4321\n/);
    expect(run.stdout).toContain('kernel');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(root);
  });
});
