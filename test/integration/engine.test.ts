/**
 * Docker in a machine, as Debian's docker command line on the host meets it: one machine, `engine`, in one order of
 * events. Images come from the guest's own busybox: there is no registry here.
 */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectUnix } from '../../host/channel/connect-unix.ts';
import type { MachineStatus } from '../../host/machine/machine.ts';
import { runtimeDirectory, statePaths } from '../../host/paths.ts';
import { type DockerCli, type DockerOutcome, dockerCli } from './docker-cli.ts';
import { TEST_CPUS } from './environment.ts';
import { machines, rosettaVm, runInGuest } from './support.ts';

const NAME = 'engine';
const IMAGE = 'busybox:test';
const RUN = ['run', '--rm', '--network', 'none', IMAGE];
const SH = '/bin/busybox';
const paths = statePaths();
const MIB = 2 ** 20;
/** Of the host process, whatever went through it. */
const MAX_RESIDENT_BYTES = 90 * MIB;

/** A gigabyte takes minutes under emulation: ROSETTA_VM_TEST_SAVE_MIB=1024 for those who have them. */
const SAVED_MIB = Number(process.env.ROSETTA_VM_TEST_SAVE_MIB ?? 64);

let docker: DockerCli;
let folder: string;

const up = async (): Promise<void> => {
  const sizes = ['--cpus', `${TEST_CPUS}`, '--memory', '3GiB', '--disk', '8GiB'];
  const { status, stderr } = await rosettaVm(['up', NAME, ...sizes]);
  expect(stderr).not.toContain('Error');
  expect(status).toBe(0);
};

const status = (): Promise<MachineStatus> => machines.status(NAME);

/** Asks until the machine's status is as it should be. */
async function settles(is: (status: MachineStatus) => boolean, limitMs = 90_000): Promise<MachineStatus> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const now = await status();
    if (is(now)) return now;
    if (performance.now() > deadline) throw new Error(`It stayed ${JSON.stringify(now)}`);
    await sleep(300);
  }
}

const dockerReady = ({ engine }: MachineStatus): boolean => engine?.state === 'ready';

async function guest(script: string): Promise<string> {
  const { stdout, stderr, exit } = await runInGuest(await machines.agent(NAME), ['sh', '-c', script]);
  if (exit.code !== 0) throw new Error(stderr);
  return stdout;
}

/** A command that must succeed; answers with what it printed. */
async function ok(args: readonly string[], input?: string | Buffer): Promise<string> {
  const { status: code, stdout, stderr } = await docker(args, input);
  expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' });
  return stdout;
}

/** A build context with this Dockerfile; its steps run busybox. */
async function context(dockerfile: string): Promise<string> {
  const directory = await mkdtemp(path.join(folder, 'context-'));
  await writeFile(path.join(directory, 'Dockerfile'), dockerfile);
  await writeFile(path.join(directory, 'input'), 'from the host\n');
  return directory;
}

const step = (script: string): string => `RUN ["${SH}", "sh", "-c", "${script}"]\n`;

/** A build that is in its step when this resolves; it would take a minute. */
async function longBuild(): Promise<{ readonly ended: Promise<DockerOutcome> }> {
  const directory = await context(`FROM ${IMAGE}\n${step(`echo in-the-step-${Date.now()}; ${SH} sleep 60`)}`);
  const child = docker.start(['build', '--progress', 'plain', '--no-cache', directory]);
  let output = '';
  const began = new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (piece: Buffer) => {
      output += piece.toString('utf8');
      if (/^#\d+ [\d.]+ in-the-step/m.test(output)) resolve();
    });
    child.once('close', () => reject(new Error(`The build ended early: ${output}`)));
  });
  const ended = once(child, 'close').then(([code]) => ({ status: code as number, stdout: '', stderr: output }));
  await began;
  return { ended };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rvm-engine-'));
  await rosettaVm(['delete', NAME, '--yes']);
  await up();
  docker = await dockerCli((await status()).docker?.host ?? '');
  const { stdout } = await runTar();
  await ok(['import', '--platform', 'linux/arm64', '-', IMAGE], stdout);
});
afterAll(async () => {
  await rosettaVm(['down', NAME, '--force']);
  await rosettaVm(['delete', NAME, '--yes']);
  await rm(folder, { recursive: true, force: true });
});

/** The guest's busybox as a root. */
async function runTar(): Promise<{ readonly stdout: Buffer }> {
  const agent = await machines.agent(NAME);
  const session = await agent.exec({ argv: ['tar', '-c', '-f', '-', '-C', '/', 'bin/busybox'], stdin: false });
  session.stderr.resume();
  const pieces: Buffer[] = [];
  for await (const piece of session.stdout) pieces.push(piece as Buffer);
  return { stdout: Buffer.concat(pieces) };
}

describe.sequential('docker on the host', () => {
  test('is shown a socket that only its owner may use, by env and in a context that is selected', async () => {
    const { stdout } = await rosettaVm(['env', NAME, '--docker-host']);
    const socket = path.join(runtimeDirectory(paths, NAME), 'docker.sock');
    expect(stdout).toBe(`unix://${socket}\n`);
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    const { stdout: contexts } = await promisify(execFile)(docker.program, ['context', 'ls', '--format', '{{json .}}']);
    const selected = contexts.split('\n').find((line) => line.includes('"Current":true'));
    expect(JSON.parse(selected ?? '{}')).toMatchObject({
      Name: `rosetta-vm-${NAME}`,
      DockerEndpoint: `unix://${socket}`,
    });
  });

  test('speaks to a native Docker whose storage is on the data disk', async () => {
    const info = await ok(['info', '--format', '{{.Architecture}} {{.DockerRootDir}} {{.CgroupVersion}}']);
    expect(info.trim()).toBe('aarch64 /data/docker 2');
    expect(await status()).toMatchObject({ engine: { state: 'ready', restarts: 0 } });
  });

  test('builds an image from scratch, with files of the host', async () => {
    const directory = await context(
      `FROM scratch\nCOPY --from=${IMAGE} / /\nCOPY input /input\n${step(`${SH} tr a-z A-Z < /input > /output`)}`,
    );
    await ok(['build', '-q', '-t', 'built', directory]);
    expect(await ok(['run', '--rm', 'built', SH, 'cat', '/output'])).toBe('FROM THE HOST\n');
  });

  test('runs a program on a terminal, with --init, and passes exit codes on', async () => {
    const command = `${docker.program} run --rm -it --init ${IMAGE} ${SH} sh -c "tty; exit 7"`;
    const terminal = promisify(execFile)('script', ['-qec', command, '/dev/null'], { env: docker.env });
    await expect(terminal).rejects.toMatchObject({ code: 7, stdout: expect.stringContaining('/dev/pts/0') });
  });

  test('copies, follows logs to their end, runs beside, and hears of events', async () => {
    const seconds = (): number => Math.floor(Date.now() / 1000);
    const since = seconds() - 2;
    const waits = `while [ ! -e /go ]; do ${SH} sleep 0.1; done; echo last line`;
    await ok(['run', '-d', '--name', 'busy', IMAGE, SH, 'sh', '-c', waits]);
    const copied = path.join(folder, 'copied');
    await writeFile(copied, 'there and back');
    await ok(['cp', copied, 'busy:/copied']);
    expect(await ok(['exec', 'busy', SH, 'cat', '/copied'])).toBe('there and back');
    const followed = ok(['logs', '-f', 'busy']);
    await ok(['exec', 'busy', SH, 'touch', '/go']);
    expect(await followed).toBe('last line\n');
    // Its output ends before Docker knows that it did.
    expect(await ok(['wait', 'busy'])).toBe('0\n');
    const span = ['--since', `${since}`, '--until', `${seconds() + 1}`];
    const events = await ok(['events', ...span, '--filter', 'container=busy', '--format', '{{.Action}}']);
    expect(events.split('\n')).toEqual(expect.arrayContaining(['create', 'start', 'die']));
    await ok(['rm', 'busy']);
  });

  test('takes input to its end, and gives output after it', async () => {
    const input = Buffer.alloc(3 * MIB, 'rosetta ');
    const sum = await ok(
      ['run', '--rm', '-i', IMAGE, SH, 'sh', '-c', `${SH} wc -c; ${SH} sleep 1; echo after the end`],
      input,
    );
    expect(sum).toBe(`${input.length}\nafter the end\n`);
  });

  test('serves many connections at once', async () => {
    const socket = path.join(runtimeDirectory(paths, NAME), 'docker.sock');
    const answers = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const connection = await connectUnix(socket);
        connection.write('GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n');
        return await text(connection);
      }),
    );
    expect(answers.filter((answer) => answer.startsWith('HTTP/1.1 200') && answer.endsWith('OK'))).toHaveLength(40);
  });

  test('finds published ports on 127.0.0.1, and only while they are published', async () => {
    const port = 20_000 + (process.pid % 10_000);
    const serve = `echo published > /index.html; exec ${SH} httpd -f -p 80 -h /`;
    await ok(['run', '-d', '--name', 'web', '-p', `${port}:80`, IMAGE, SH, 'sh', '-c', serve]);
    const now = await settles(({ docker: shown }) => (shown?.ports.length ?? 0) > 0);
    expect(now.docker?.ports).toEqual([{ protocol: 'tcp', port, problem: null }]);
    expect(await page(port)).toBe('published\n');
    await ok(['rm', '-f', 'web']);
    await settles(({ docker: shown }) => shown?.ports.length === 0);
    await expect(page(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('finds published UDP ports there too', async () => {
    const port = 30_000 + (process.pid % 10_000);
    // Debian’s busybox has no server of datagrams; the guest’s own root has socat.
    const echo = ['chroot', '/guest', '/usr/bin/socat', 'UDP-RECVFROM:53,fork', 'PIPE'];
    await ok(['run', '-d', '--name', 'datagrams', '-p', `${port}:53/udp`, '-v', '/:/guest:ro', IMAGE, SH, ...echo]);
    await settles(({ docker: shown }) => (shown?.ports.length ?? 0) > 0);
    expect((await status()).docker?.ports).toEqual([{ protocol: 'udp', port, problem: null }]);
    const peers = [createSocket('udp4'), createSocket('udp4')];
    try {
      const answers = peers.map(async (socket, i) => {
        // A datagram may be lost, as while the container’s program is only starting.
        const again = setInterval(() => socket.send(`hello ${i}`, port, '127.0.0.1'), 500);
        const [answer] = await once(socket, 'message').finally(() => clearInterval(again));
        return String(answer);
      });
      expect(await Promise.all(answers)).toEqual(['hello 0', 'hello 1']);
    } finally {
      for (const socket of peers) socket.close();
      await ok(['rm', '-f', 'datagrams']);
    }
    await settles(({ docker: shown }) => shown?.ports.length === 0);
  });

  test('is told by status when another program has a published port', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await ok(['run', '-d', '--name', 'web', '-p', `${port}:80`, IMAGE, SH, 'sleep', '60']);
    await settles(({ docker: shown }) => (shown?.ports.length ?? 0) > 0);
    const { stdout } = await rosettaVm(['status', NAME]);
    expect(stdout).toContain(`${port}, not on this host: another program`);
    await ok(['rm', '-f', 'web']);
    server.close();
  });

  test('saves a large image through bounded memory', { timeout: 180_000 + SAVED_MIB * 1_000 }, async () => {
    const bytes = SAVED_MIB * MIB;
    await guest(
      `head -c ${bytes} /dev/urandom > /data/blob && tar -c -C /data blob | docker import - large && rm /data/blob`,
    );
    const inside = await guest(
      `start=$(date +%s%N); docker save large | wc -c; echo $(( ($(date +%s%N) - start) / 1000000 ))`,
    );
    const [insideBytes = 0, insideMs = 0] = inside.split('\n').map(Number);
    const started = performance.now();
    const child = docker.start(['save', 'large']);
    let received = 0;
    for await (const piece of child.stdout ?? []) received += (piece as Buffer).length;
    const ms = performance.now() - started;
    expect(received).toBe(insideBytes);
    const rate = (count: number, time: number): string => `${(count / MIB / (time / 1000)).toFixed(1)} MiB/s`;
    console.log(`docker save: ${rate(received, ms)} on the host, ${rate(insideBytes, insideMs)} inside the guest`);
    expect((await status()).process?.memoryBytes).toBeLessThan(MAX_RESIDENT_BYTES);
  });

  test('gives the disk back what was pruned', async () => {
    await guest('sync');
    const before = (await status()).dataDiskBytes;
    await ok(['rmi', 'large']);
    await ok(['system', 'prune', '-f']);
    await settles(({ dataDiskBytes }) => dataDiskBytes < before - 32 * MIB);
  });

  test('shows Docker’s own log', async () => {
    const { stdout } = await rosettaVm(['logs', NAME, '--engine']);
    expect(stdout).toContain('API listen on /run/docker.sock');
  });

  test('a container that crashes leaves no core file', async () => {
    const crash = await docker(['run', '--rm', '--init', IMAGE, SH, 'sh', '-c', 'ulimit -c; kill -SEGV $$']);
    expect(crash).toMatchObject({ status: 139, stdout: '0\n' });
  });
});

describe.sequential('Docker recovers', () => {
  test('when dockerd is killed in the middle of a build: the build fails, the images stay', async () => {
    const { ended } = await longBuild();
    await guest('pkill -9 -x dockerd');
    const { status: code, stderr } = await ended;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/error|EOF/i);
    await settles((now) => dockerReady(now) && now.engine?.restarts === 1);
    expect(await ok([...RUN, SH, 'echo', 'well'])).toBe('well\n');
  });

  test('when the agent is killed in the middle of a build: Docker itself never stopped', async () => {
    const pid = await guest('pgrep -x dockerd');
    const { ended } = await longBuild();
    // The answer is lost with it.
    await guest("pkill -9 -f '[b]oot/agent.cjs'").catch(() => {});
    expect((await ended).status).not.toBe(0);
    await settles(dockerReady);
    expect(await guest('pgrep -x dockerd')).toBe(pid);
    expect(await ok([...RUN, SH, 'echo', 'well'])).toBe('well\n');
  });

  test.each([
    ['the host process', async () => (await status()).process?.pid ?? 0],
    ['QEMU', async () => await qemuPid()],
  ])('when %s is killed in the middle of a build: up brings everything back', async (_what, pid) => {
    const { ended } = await longBuild();
    process.kill(await pid(), 'SIGKILL');
    expect((await ended).status).not.toBe(0);
    await settles(({ state }) => state === 'stopped');
    const { status: code, stderr } = await docker(['ps']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('Cannot connect to the Docker daemon');
    await up();
    expect(await ok(['images', '--format', '{{.Repository}}:{{.Tag}}'])).toContain(IMAGE);
    expect(await ok([...RUN, SH, 'echo', 'well'])).toBe('well\n');
  });

  test('when the data disk is full in the middle of a build: the build says so, the images and the cache stay', async () => {
    const entries = async (): Promise<string> => await guest('ls /data/cache/*/*');
    const before = await entries();
    const directory = await context(`FROM ${IMAGE}\n${step(`${SH} dd if=/dev/zero of=/big bs=1M count=64`)}`);
    // Blocks that are set aside and never written take no space on the host.
    await guest('set -- $(stat -f -c "%f %S" /data); fallocate -l $(($1 * $2 - 32 * 1024 * 1024)) /data/ballast');
    try {
      const { status: code, stderr } = await docker(['build', '--no-cache', directory]);
      expect(code).not.toBe(0);
      expect(stderr).toContain('No space left on device');
    } finally {
      await guest('rm /data/ballast');
    }
    expect(await ok([...RUN, SH, 'echo', 'well'])).toBe('well\n');
    expect(await entries()).toBe(before);
  });

  test('down ends containers in order, and leaves docker where it was', async () => {
    const file = path.join(process.env.DOCKER_CONFIG ?? '', 'config.json');
    const traps = 'trap "echo ended in order; exit 0" TERM; while :; do sleep 1; done';
    await ok(['run', '-d', '--name', 'polite', IMAGE, SH, 'sh', '-c', traps]);
    expect((await rosettaVm(['down', NAME])).status).toBe(0);
    expect(JSON.parse(await readFile(file, 'utf8'))).not.toHaveProperty('currentContext');
    await up();
    expect(await ok(['logs', 'polite'])).toBe('ended in order\n');
  });

  test('from 50 containers at once', { timeout: 900_000 }, async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, index) => docker([...RUN, SH, 'echo', `${index}`])),
    );
    expect(outcomes.map(({ stdout }) => stdout.trim())).toEqual(outcomes.map((_, index) => `${index}`));
    expect((await status()).process?.memoryBytes).toBeLessThan(MAX_RESIDENT_BYTES);
  });
});

async function qemuPid(): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,args=', '-ww']);
  const line = stdout
    .split('\n')
    .find((one) => one.includes('qemu-system') && one.includes(runtimeDirectory(paths, NAME)));
  return Number(line?.trim().split(/\s+/)[0]);
}

async function page(port: number): Promise<string> {
  const [answer] = await once(get({ host: '127.0.0.1', port, agent: false }), 'response');
  return await text(answer);
}
