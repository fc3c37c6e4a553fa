/** What lies between host and guest, timed on the host: both ends take part. */
import { addAbortSignal, type Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { runInGuest } from '../../host/channel/guest-command.ts';
import { waitForEngine } from '../../host/cli/running-machine.ts';
import { pingEngine } from '../../host/docker/api.ts';
import { RosettaVmError } from '../../host/errors.ts';
import type { AgentClient } from '../../host/index.ts';
import type { ChannelBenchmark } from '../suites/schema.ts';
import { blameArm } from './arm-failure.ts';
import type { Bench, BenchmarkRunner, Sample } from './benchmark-runner.ts';
import { copyIn, copyOut, makeCopyContainer, removeCopyContainer } from './docker-copy.ts';
import { limited } from './limited.ts';

const DEFAULT_BYTES = 16 * 2 ** 20;
const CHUNK_BYTES = 256 * 1024;
/** Guest's end of the forwarded stream. */
const SOCKET = '/run/rosetta-vm-bench.sock';
const POLL_MS = 50;
const DISPOSE_LIMIT_MS = 60_000;

interface Call {
  readonly agent: AgentClient;
  readonly bytes: number;
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** Each resolves when the work is done and was right; the time until then is what counts. */
const PROBES: Readonly<Record<ChannelBenchmark['probe'], (call: Call) => Promise<number>>> = {
  'agent-latency': ({ agent, signal }) => timed(() => agent.health({ signal })),
  'exec-latency': (call) => timed(() => runInGuest(call.agent, { argv: ['true'] }, call)),
  'docker-latency': ({ agent, signal }) => timed(() => pingEngine(agent, signal)),
  'exec-download': (call) => timed(() => download(call)),
  'exec-upload': (call) => timed(() => upload(call)),
  'forward-download': forwardDownload,
  'docker-download': (call) => timed(async () => checkBytes(await copyOut(call.agent, call.signal), call.bytes)),
  'docker-upload': (call) => timed(() => copyIn(call.agent, zeros(call.bytes), call.bytes, call.signal)),
};

/** Seconds. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await run();
  return (performance.now() - begun) / 1000;
}

async function download({ agent, bytes, signal }: Call): Promise<void> {
  const session = await agent.exec({ argv: ['head', '-c', String(bytes), '/dev/zero'], stdin: false }, { signal });
  session.stderr.resume();
  const close = (): void => session.close();
  signal.addEventListener('abort', close);
  try {
    checkBytes(await countBytes(session.stdout), bytes);
    await session.exit;
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}

async function upload(call: Call): Promise<void> {
  const { stdout } = await runInGuest(call.agent, { argv: ['wc', '-c'] }, { ...call, input: zeros(call.bytes) });
  checkBytes(Number(stdout.trim()), call.bytes);
}

async function* zeros(bytes: number): AsyncGenerator<Buffer> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let left = bytes; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length));
}

/** As Docker's socket is forwarded. The server is started before and not timed. */
async function forwardDownload(call: Call): Promise<number> {
  const { agent, bytes, signal } = call;
  const argv = ['socat', '-u', `EXEC:head -c ${bytes} /dev/zero`, `UNIX-LISTEN:${SOCKET},unlink-early`];
  const server = await agent.exec({ argv, stdin: false }, { signal });
  server.stdout.resume();
  server.stderr.resume();
  try {
    const stream = addAbortSignal(signal, await connectSoon(call));
    return await timed(async () => checkBytes(await countBytes(stream), bytes));
  } finally {
    server.close();
  }
}

/** The server needs a moment to listen. */
async function connectSoon({ agent, limitMs, signal }: Call): Promise<Duplex> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      return await agent.forward({ path: SOCKET }, { signal });
    } catch (error) {
      const waiting = error instanceof RosettaVmError && error.code === 'E_NOT_FOUND';
      if (!waiting || performance.now() > deadline) throw error;
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function countBytes(stream: AsyncIterable<unknown>): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) bytes += (chunk as Buffer).length;
  return bytes;
}

function checkBytes(found: number, wanted: number): void {
  if (found === wanted) return;
  throw new RosettaVmError('E_VERIFY', {
    what: 'The stream did not carry what was sent.',
    why: `${found} of ${wanted} bytes came.`,
    fix: '`rosetta-vm logs` shows what the guest says.',
    facts: { found, wanted },
  });
}

/** Throws `E_STATE` when Docker, which it needs, does not come up. */
export async function prepareChannel(
  { agent, machine, signal }: Bench,
  benchmark: ChannelBenchmark,
): Promise<BenchmarkRunner> {
  const { title, probe, bytes = DEFAULT_BYTES, limitSeconds } = benchmark;
  // After a start Docker needs longer than everything else.
  if (needsEngine(benchmark)) await waitForEngine(agent, machine, signal);
  const copies = probe === 'docker-download' || probe === 'docker-upload';
  if (copies) {
    await blameArm(title, async () => {
      await makeCopyContainer(agent, signal);
      if (probe === 'docker-download') await copyIn(agent, zeros(bytes), bytes, signal);
    });
  }
  const isLatency = probe.endsWith('-latency');
  return {
    unit: isLatency ? 'seconds' : 'bytes-per-second',
    smallerIsBetter: isLatency,
    warmUps: 1,
    sample: async (): Promise<Sample> => {
      const seconds = await blameArm(title, () =>
        limited(title, limitSeconds, signal, (own) =>
          PROBES[probe]({ agent, bytes, limitMs: limitSeconds * 1000, signal: own }),
        ),
      );
      return { value: isLatency ? seconds : bytes / seconds, counts: {} };
    },
    // Also after Ctrl-C, when the session's own signal would end it at once.
    dispose: async () => {
      if (copies) await removeCopyContainer(agent, AbortSignal.timeout(DISPOSE_LIMIT_MS));
    },
  };
}

export const needsEngine = ({ probe }: ChannelBenchmark): boolean => probe.startsWith('docker-');
