import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { UpgradeCall, UpgradeHandler } from '../../../guest/agent/server.ts';
import { encodeFrame, FrameDecoder } from '../../../guest/exec-frames.ts';
import { EXEC_UPGRADE, type ExecRequest, type ExitStatus, FrameType } from '../../../guest/protocol.ts';
import { RosettaVmError } from '../../../host/errors.ts';
import { temporaryFolder } from '../machine/temporary.ts';
import { commandLine, environment, runProgram } from './command-line.ts';
import { realAgent, scriptedAgent, standIn } from './stand-in.ts';

const cli = commandLine();

/** A state folder with a running machine `ci`, whose programs run on this host. */
async function machine(): Promise<string> {
  const home = await temporaryFolder();
  await standIn(home, 'ci', await realAgent());
  return home;
}

/** Runs `sh -c script` in the machine. */
const inGuest = (script: string, ...flags: string[]): string[] => ['exec', 'ci', ...flags, '--', 'sh', '-c', script];

describe('a program in the machine', () => {
  test('has its output and errors apart, and its exit status becomes ours', async () => {
    const home = await machine();
    const outcome = await cli.run(inGuest('echo out; echo err >&2; exit 7'), { home });
    expect(outcome).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test('reads what is piped in, to its end, byte by byte', async () => {
    const home = await machine();
    const input = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
    const outcome = await cli.run(inGuest('sha256sum'), { home, input });
    expect(outcome.stdout).toBe(`${createHash('sha256').update(input).digest('hex')}  -\n`);
  });

  test('may end without reading all of its input', async () => {
    const home = await machine();
    const outcome = await cli.run(inGuest('head -c 1'), { home, input: 'x'.repeat(5_000_000) });
    expect(outcome).toEqual({ status: 0, stdout: 'x', stderr: '' });
  });

  test('finds no input with --no-stdin', async () => {
    const home = await machine();
    expect(await cli.run(inGuest('cat; echo end', '-n'), { home, input: 'unread' })).toMatchObject({ stdout: 'end\n' });
  });

  test('gets its variables and its folder', async () => {
    const home = await machine();
    const flags = ['-e', 'A=1=2', '-e', 'HANDED', '--workdir', '/usr'];
    const outcome = await cli.run(inGuest('echo "$A $HANDED"; pwd', ...flags), { home, env: { HANDED: 'on' } });
    expect(outcome.stdout).toBe('1=2 on\n/usr\n');
  });

  test.each([
    ['that is not there', ['/no/such/program'], 127],
    ['that may not run', ['/etc/passwd'], 126],
  ])('%s is told apart from one that failed', async (_, argv, status) => {
    const home = await machine();
    const outcome = await cli.run(['exec', 'ci', '--', ...argv], { home });
    expect(outcome).toMatchObject({ status, stdout: '' });
    expect(outcome.stderr).toMatch(/^rosetta-vm: .+\n$/);
  });

  test('that a signal ended gives 128 + its number', async () => {
    const home = await machine();
    expect((await cli.run(inGuest('kill -TERM $$'), { home })).status).toBe(143);
  });
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s is sent on, and the program decides', async (signal) => {
  const home = await machine();
  const script = `trap 'echo got it; exit 42' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
  const child = spawn(process.execPath, [cli.program, ...inGuest(script)], { env: environment({ home }) });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (!output.includes('ready') && text.includes('ready')) child.kill(signal);
    output += text;
  });
  const [status] = await once(child, 'close');
  expect({ status, output }).toEqual({ status: 42, output: 'ready\ngot it\n' });
});

test('when the command line is killed, so is the program', async () => {
  const home = await machine();
  const child = spawn(process.execPath, [cli.program, ...inGuest('echo $$; exec sleep 60')], {
    env: environment({ home }),
  });
  const [pid] = await once(child.stdout.setEncoding('utf8'), 'data');
  child.kill('SIGKILL');
  await expect.poll(() => isAlive(Number(pid))).toBe(false);
});

test('every flag reaches the agent as it was given, and the program’s own flags are left alone', async () => {
  const requests: unknown[] = [];
  const home = await machineWith((call, request) => {
    requests.push(request);
    finish(call.accept(), { code: 0, signal: null });
  });
  const flags = ['-e', 'B=', '-e', 'NOT_SET', '-w', '/src', '-u', '7:8', '--root', '/data/roots/x', '--no-stdin'];
  const { status } = await cli.run(['exec', 'ci', ...flags, '--', 'prog', '--json', '-x', '--'], { home });
  expect(status).toBe(0);
  const argv = ['prog', '--json', '-x', '--'];
  expect(requests).toEqual([
    { argv, stdin: false, env: { B: '' }, cwd: '/src', uid: 7, gid: 8, root: '/data/roots/x' },
  ]);
});

test('a connection that breaks is 125 and says so', async () => {
  const home = await machineWith((call) => void call.accept().destroy());
  const { status, stderr } = await cli.run(['exec', 'ci', '--', 'true'], { home });
  expect(status).toBe(125);
  expect(stderr).toMatch(/^Error: The connection to the program in the guest was lost/);
});

test('an agent that refuses is 125, with its own three parts', async () => {
  const home = await machineWith(() => {
    throw new RosettaVmError('E_NOT_FOUND', { what: 'No folder \u001b[31mx.', why: 'Gone.', fix: 'Make it.' });
  });
  const { status, stderr } = await cli.run(['exec', 'ci', '--', 'true'], { home });
  expect({ status, stderr }).toEqual({
    status: 125,
    stderr: 'Error: No folder \\x1b[31mx.\n  Why: Gone.\n  Fix: Make it.\n',
  });
});

describe('on a terminal', () => {
  /** script(1) gives a shell command a terminal; what that shows comes back on stdout. */
  const onTerminal = (home: string, command: string, input = '') =>
    runProgram(['script', '-qec', command, '/dev/null'], { home, input, env: { SHELL: '/bin/sh', TERM: 'vt220' } });
  const tool = (args: string): string => `${process.execPath} ${cli.program} ${args}`;

  test('its size and kind are passed on, and keys go through as they are, Ctrl-C too', async () => {
    let asked: ExecRequest | undefined;
    const keys: string[] = [];
    const home = await machineWith((call, request) => {
      asked = request;
      const stream = call.accept();
      stream.write(encodeFrame(FrameType.stdout, 'ready'));
      const decoder = new FrameDecoder();
      stream.on('data', (piece: Buffer) => {
        for (const { type, payload } of decoder.push(piece))
          if (type === FrameType.stdin) keys.push(payload.toString());
        if (keys.join('').endsWith('q')) finish(stream, { code: 4, signal: null });
      });
    });
    const child = spawn('script', ['-qec', `stty cols 101 rows 33; ${tool('exec ci -t -- x')}`, '/dev/null'], {
      env: environment({ home, env: { SHELL: '/bin/sh', TERM: 'vt220' } }),
    });
    await once(child.stdout, 'data');
    child.stdin.write('a\rb\u0003\u001b[Aq');
    const [status] = await once(child, 'close');
    expect(asked?.tty).toEqual({ columns: 101, rows: 33, term: 'vt220' });
    expect({ status, keys: keys.join('') }).toEqual({ status: 4, keys: 'a\rb\u0003\u001b[Aq' });
  });

  test.each([
    ['ends', { code: 0, signal: null }, 0],
    ['is killed', { code: null, signal: 'SIGKILL' }, 137],
    ['cannot be started', { code: 127, signal: null, error: 'spawn x ENOENT' }, 127],
    ['is lost', null, 125],
  ])('it is given back as it was when the program %s', async (_, end, status) => {
    const home = await machineWith((call) => {
      const stream = call.accept();
      if (end === null) stream.destroy();
      else finish(stream, end);
    });
    const { stdout } = await onTerminal(
      home,
      `stty -g > ${home}/before; ${tool('exec ci -t -- x')}; echo "status $?"; stty -g > ${home}/after`,
    );
    expect(stdout).toContain(`status ${status}`);
    const [before, after] = await Promise.all(['before', 'after'].map((name) => readFile(`${home}/${name}`, 'utf8')));
    expect(after).toBe(before);
  });

  test('shell asks for one; without it the shell reads commands from a pipe', async () => {
    const asked: ExecRequest[] = [];
    const home = await machineWith((call, request) => {
      asked.push(request);
      finish(call.accept(), { code: 3, signal: null });
    });
    expect((await cli.run(['shell', 'ci'], { home, input: 'uname -m\n' })).status).toBe(3);
    expect((await onTerminal(home, tool('shell ci'))).status).toBe(3);
    expect(asked.map(({ argv, tty }) => [argv, tty !== undefined])).toEqual([
      [['/bin/sh', '-l'], false],
      [['/bin/sh', '-l'], true],
    ]);
  });
});

/** A state folder with a running machine `ci` whose agent does with an exec what the test says. */
async function machineWith(onExec: (call: UpgradeCall, request: ExecRequest) => void): Promise<string> {
  const home = await temporaryFolder();
  const exec: UpgradeHandler = async (call) => {
    onExec(call, JSON.parse(Buffer.from(String(call.headers['x-rvm-exec']), 'base64url').toString('utf8')));
  };
  await standIn(home, 'ci', await scriptedAgent({}, { [`GET /v1/exec ${EXEC_UPGRADE}`]: exec }));
  return home;
}

function finish(stream: Duplex, status: ExitStatus): void {
  stream.resume();
  stream.end(encodeFrame(FrameType.exit, JSON.stringify(status)));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
