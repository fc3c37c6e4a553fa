/** Starts the real agent on this host: a temporary folder stands for the guest's, the clock and the power are recorded. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { type Agent, type AgentSystem, startAgent } from '../../../guest/agent/agent.ts';
import { runCommand } from '../../../guest/agent/command.ts';
import type { GuestSettings } from '../../../guest/agent/settings.ts';
import { encodeFrame, FrameDecoder } from '../../../guest/exec-frames.ts';
import { linkStream } from '../../../guest/link.ts';
import {
  type BootConfig,
  EXEC_UPGRADE,
  type ExecRequest,
  type ExitStatus,
  FrameType,
} from '../../../guest/protocol.ts';

export const TOKEN = 'ab'.repeat(32);

export interface TestAgent extends AsyncDisposable {
  readonly agent: Agent;
  readonly settings: GuestSettings;
  readonly directory: string;
  /** What shutdown and restart did. */
  readonly powerCalls: string[];
}

/** Settings below a temporary folder; this host's own programs stand for busybox's. */
export async function temporarySettings(): Promise<{ directory: string; settings: GuestSettings }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'rvm-agent-'));
  const at = (name: string): string => path.join(directory, name);
  await Promise.all(['boot', 'run', 'data', 'share', 'rvm', 'binfmt'].map((name) => mkdir(at(name))));
  await writeFile(at('console'), '');
  const settings: GuestSettings = {
    bootDirectory: at('boot'),
    socket: at('agent.sock'),
    listeningPipe: at('listening'),
    console: at('console'),
    logFile: at('log/agent.log'),
    dataDirectory: at('data'),
    translatorShareDirectory: at('share'),
    rosettaShareDirectory: at('rosetta-share'),
    translatorDirectory: at('rvm'),
    cacheMountPoint: at('rvm-cache'),
    binfmtDirectory: at('binfmt'),
    blockDirectory: at('block'),
    ext4Directory: at('ext4'),
    hostnameFile: at('hostname'),
    runDirectory: at('run'),
    dockerd: [at('dockerd')],
    dockerSocket: at('docker.sock'),
    engineLogFile: at('log/engine.log'),
    cgroupDirectory: '/proc',
    applets: [],
    environment: { PATH: process.env.PATH ?? '', HOME: directory },
  };
  return { directory, settings };
}

export const bootConfig: BootConfig = {
  schemaVersion: 1,
  token: TOKEN,
  machine: 'test',
  hostVersion: '0.0.0-test',
  dataDevice: '/dev/rvm-no-such-disk',
  translator: { name: 'box64', tag: 'rvm-translators' },
  cache: { enabled: true, limitBytes: 1024 * 1024 },
  engine: { enabled: false, buildCacheBytes: 0 },
  shares: [],
};

export async function startTestAgent(system: Partial<AgentSystem> = {}): Promise<TestAgent> {
  const { directory, settings } = await temporarySettings();
  await writeFile(path.join(settings.bootDirectory, 'config.json'), JSON.stringify(bootConfig));
  const powerCalls: string[] = [];
  const agent = await startAgent(settings, {
    // Nothing is mounted on this host; programs of exec do not go through here.
    run: (argv, limit) =>
      argv[0] === 'mount' || argv[0] === 'modprobe'
        ? Promise.resolve({ code: 1, stdout: '', stderr: 'not on this host' })
        : runCommand(argv, limit),
    clock: { now: Date.now, set: () => Promise.reject(new Error('not in this test')) },
    power: {
      off: async () => void powerCalls.push('off'),
      restartAgent: () => void powerCalls.push('restart'),
    },
    ...system,
  });
  await agent.settled;
  return {
    agent,
    settings,
    directory,
    powerCalls,
    [Symbol.asyncDispose]: async () => {
      await agent.close();
      // A program that was killed just now may still have a last line logged.
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A connection to the agent, as the host makes it. */
export function linkTo(socket: string): Duplex {
  return linkStream(connect(socket));
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** One request with the token, or with `headers` instead of it. */
export function ask(
  socket: string,
  method: string,
  target: string,
  body?: unknown,
  headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { createConnection: () => linkTo(socket), method, path: target, headers },
      async (response) => {
        const text = await readAll(response);
        const json = response.headers['content-type'] === 'application/json';
        resolve({ status: response.statusCode ?? 0, body: json ? JSON.parse(text) : text });
      },
    );
    sent.once('error', reject);
    sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

async function readAll(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of response) text += String(piece);
  return text;
}

/** Upgrades a connection; rejects with the answer when the agent refuses. */
export function upgrade(
  socket: string,
  target: string,
  protocol: string,
  headers: Record<string, string> = {},
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const sent = request({
      createConnection: () => linkTo(socket),
      path: target,
      headers: { authorization: `Bearer ${TOKEN}`, connection: 'Upgrade', upgrade: protocol, ...headers },
    });
    sent.once('upgrade', (_response, stream, head) => {
      if (head.length > 0) stream.unshift(head);
      resolve(stream);
    });
    sent.once('response', async (response) => {
      const text = await readAll(response);
      reject(Object.assign(new Error(text), { status: response.statusCode }));
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** A host's end of an exec stream that collects what comes. */
export class TestExec {
  readonly stream: Duplex;
  /** Settles with the exit frame; rejects when the connection ends without one. */
  readonly done: Promise<ExitStatus>;
  stdout = '';
  stderr = '';
  readonly #waiting = new Set<() => void>();

  constructor(stream: Duplex) {
    this.stream = stream;
    this.done = new Promise((resolve, reject) => {
      const decoder = new FrameDecoder();
      stream.on('data', (piece: Buffer) => {
        for (const { type, payload } of decoder.push(piece)) {
          if (type === FrameType.stdout) this.stdout += payload.toString('latin1');
          else if (type === FrameType.stderr) this.stderr += payload.toString('latin1');
          else if (type === FrameType.exit) resolve(JSON.parse(payload.toString('utf8')) as ExitStatus);
        }
        for (const check of this.#waiting) check();
      });
      stream.on('error', reject);
      stream.on('close', () => reject(new Error('The stream ended without an exit frame.')));
    });
    this.done.catch(() => {});
  }

  send(type: FrameType, payload: string | Uint8Array = ''): void {
    this.stream.write(encodeFrame(type, payload));
  }

  /** Resolves when the program has written `text`. */
  async says(text: string): Promise<void> {
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (!this.stdout.includes(text)) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }
}

export async function startExec(socket: string, wanted: Partial<ExecRequest>): Promise<TestExec> {
  const whole = { stdin: false, argv: ['true'], ...wanted };
  const header = Buffer.from(JSON.stringify(whole)).toString('base64url');
  return new TestExec(await upgrade(socket, '/v1/exec', EXEC_UPGRADE, { 'x-rvm-exec': header }));
}
