/** Programs in the guest, as a person or a script runs them. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { rosettaVm, runInGuest, sharedAgent, sharedMachine } from './support.ts';

const MIB = 1024 * 1024;

describe('exec', () => {
  test('stdout and stderr are apart, and the status is the program’s', async () => {
    const outcome = await runInGuest(await sharedAgent(), ['sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect(outcome).toEqual({ stdout: 'out\n', stderr: 'err\n', exit: { code: 7, signal: null } });
  });

  test('stdin reaches the program, its end too', async () => {
    const { stdout } = await runInGuest(await sharedAgent(), ['sort'], { input: 'b\na\n' });
    expect(stdout).toBe('a\nb\n');
  });

  test('environment, working directory and user are as asked', async () => {
    const outcome = await runInGuest(await sharedAgent(), ['sh', '-c', 'echo $COLOUR; pwd; id -u; id -g'], {
      env: { COLOUR: 'blue' },
      cwd: '/usr',
      uid: 1000,
      gid: 1001,
    });
    expect(outcome).toMatchObject({ stdout: 'blue\n/usr\n1000\n1001\n', exit: { code: 0 } });
  });

  test('what is not there is 127, what cannot run is 126', async () => {
    const agent = await sharedAgent();
    expect((await runInGuest(agent, ['no-such-program'])).exit).toMatchObject({ code: 127 });
    expect((await runInGuest(agent, ['/etc/passwd'])).exit).toMatchObject({ code: 126 });
  });

  test('a signal from the host ends the program and is told', async () => {
    const agent = await sharedAgent();
    const session = await agent.exec({ argv: ['sleep', '600'], stdin: false });
    session.signal('SIGTERM');
    expect(await session.exit).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('on a terminal, size, resize and line discipline are real', async () => {
    const agent = await sharedAgent();
    const script = 'stty size; trap "stty size; exit 3" WINCH; echo ready; while :; do sleep 0.1; done';
    const session = await agent.exec({
      argv: ['sh', '-c', script],
      stdin: true,
      tty: { columns: 80, rows: 24, term: 'xterm' },
    });
    let text = '';
    session.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await expect.poll(() => text, { timeout: 60_000 }).toContain('ready');
    expect(text).toContain('24 80');
    session.resize({ columns: 132, rows: 50 });
    expect(await session.exit).toMatchObject({ code: 3 });
    expect(text).toContain('50 132');
  });

  test('eight megabytes pass both ways unharmed', async () => {
    const data = Buffer.alloc(8 * MIB, 'rosetta-vm ');
    const session = await (await sharedAgent()).exec({ argv: ['cat'], stdin: true });
    session.stdin.end(data);
    session.stderr.resume();
    const hash = createHash('sha256');
    for await (const chunk of session.stdout) hash.update(chunk as Buffer);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(data).digest('hex'));
    expect(await session.exit).toMatchObject({ code: 0 });
  });

  test('a host that goes away takes its program along', async () => {
    const agent = await sharedAgent();
    const marker = 'sleep 4321';
    const session = await agent.exec({ argv: ['sh', '-c', `exec ${marker}`], stdin: true });
    await expect
      .poll(async () => (await runInGuest(agent, ['ps', '-o', 'args'])).stdout, { timeout: 30_000 })
      .toContain(marker);
    session.close();
    await expect
      .poll(async () => (await runInGuest(agent, ['ps', '-o', 'args'])).stdout, { timeout: 60_000 })
      .not.toContain(marker);
  });

  test('ten at once do not disturb each other', async () => {
    const agent = await sharedAgent();
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, index) => runInGuest(agent, ['sh', '-c', `echo ${index}; exit ${index}`])),
    );
    expect(outcomes.map(({ stdout, exit }) => [stdout, exit.code])).toEqual(
      outcomes.map((_, index) => [`${index}\n`, index]),
    );
  });
});

describe('rosetta-vm exec', () => {
  test('the program’s status is the command’s, also after a signal', async () => {
    const name = sharedMachine();
    expect(await rosettaVm(['exec', name, '--', 'sh', '-c', 'exit 42'])).toMatchObject({ status: 42 });
    expect(await rosettaVm(['exec', name, '--', 'sh', '-c', 'kill -KILL $$'])).toMatchObject({ status: 137 });
    expect(await rosettaVm(['exec', 'no-such-machine', '--', 'true'])).toMatchObject({ status: 125 });
  });

  test('the machine’s logs can be read, the agent’s and the console’s', async () => {
    const name = sharedMachine();
    const agentLog = await rosettaVm(['logs', name, '--json']);
    expect(agentLog.status).toBe(0);
    expect(agentLog.stdout).toContain('"part":"agent"');
    expect(await rosettaVm(['logs', name, '--boot'])).toMatchObject({ status: 0 });
  });
});
