/** The agent: listens first, then brings up what the guest is for, in the background. */
import { closeSync, constants, existsSync, openSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RosettaVmError } from '../../host/errors.ts';
import { version } from '../../host/version.ts';
import { DenyService } from '../cache/deny.ts';
import { CacheService } from '../cache/service.ts';
import { DataDisk } from '../data-disk.ts';
import { Engine } from '../engine/engine.ts';
import {
  AGENT_LISTENS,
  type BootConfig,
  DATAGRAM_UPGRADE,
  EXEC_UPGRADE,
  type ExecRequest,
  FORWARD_UPGRADE,
  type Health,
  HOLD_UPGRADE,
  PROTOCOL_VERSION,
} from '../protocol.ts';
import type { CachePruneRequest, CachePruneResult } from '../translation-protocol.ts';
import { TranslatorService } from '../translators/service.ts';
import { type Clock, keepTime, systemClock } from './clock.ts';
import { type RunCommand, runCommand } from './command.ts';
import { RunningPrograms, runExec } from './exec.ts';
import { execCommand } from './exec-command.ts';
import { forward } from './forward.ts';
import { forwardDatagrams } from './forward-datagrams.ts';
import { kernelRelease, memory, uptimeSeconds } from './health.ts';
import { hold } from './hold.ts';
import { invalidRequest } from './http-error.ts';
import { Log, type PartLog } from './log.ts';
import { sendLogs, sendText } from './log-stream.ts';
import { guestPower, type Power } from './power.ts';
import * as requests from './requests.ts';
import { type Call, createAgentServer, linkServer, type Routes, type UpgradeCall } from './server.ts';
import type { GuestSettings } from './settings.ts';
import { mountShares } from './shares.ts';

/** An exec right after boot waits so long for the translator's environment; after it, it runs without. */
const SETTLE_LIMIT_MS = 20_000;
/** The answer to a request that ends the agent must leave first. */
const ANSWER_GRACE_MS = 100;

/** What a test replaces: the guest's outside. */
export interface AgentSystem {
  readonly run: RunCommand;
  readonly clock: Clock;
  readonly power: Power;
}

export interface Agent {
  /** Resolves when disk, translator and shares are up, or have failed. */
  readonly settled: Promise<void>;
  close(): Promise<void>;
}

/** Starts the agent; resolves when it listens. Throws when there is no valid `config.json`. */
export async function startAgent(settings: GuestSettings, system: AgentSystem = guestSystem(settings)): Promise<Agent> {
  const log = new Log(settings.logFile);
  const config = await readBootConfig(path.join(settings.bootDirectory, 'config.json'));
  const guest = new Guest(config, settings, system, log);
  const http = createAgentServer(config.token, guest.routes());
  const server = linkServer(http);
  await listen(server, settings.socket);
  const pipe = announce(settings);
  log.part('agent').info('The agent listens.', { uptimeSeconds: await uptimeSeconds(), version });
  const settled = guest.bringUp();
  return {
    settled,
    close: async () => {
      if (pipe !== undefined) closeSync(pipe);
      server.close();
      http.closeAllConnections();
      await guest.close();
    },
  };
}

function guestSystem(settings: GuestSettings): AgentSystem {
  return { run: runCommand, clock: systemClock(runCommand), power: guestPower(settings, runCommand) };
}

async function readBootConfig(file: string): Promise<BootConfig> {
  return requests.parseBootConfig(JSON.parse(await readFile(file, 'utf8')));
}

/** Listens on a unix socket that only the owner may connect to, whatever was there before. */
async function listen(server: Server, socket: string): Promise<void> {
  await mkdir(path.dirname(socket), { recursive: true });
  await rm(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  await chmod(socket, 0o600);
}

/**
 * Tells the host that the agent listens, and opens the pipe that says so in the guest. Both ways, so that it does not
 * wait for a reader and a reader that comes later does not wait at all (fifo(7)). Where there is none, nobody asks. It
 * stays open as long as the agent runs.
 */
function announce({ console, listeningPipe }: GuestSettings): number | undefined {
  const pipe = existsSync(listeningPipe) ? openSync(listeningPipe, constants.O_RDWR) : undefined;
  if (existsSync(console)) writeFileSync(console, `${AGENT_LISTENS}\n`);
  return pipe;
}

/** What the routes work on. */
class Guest {
  readonly #config: BootConfig;
  readonly #settings: GuestSettings;
  readonly #system: AgentSystem;
  readonly #log: Log;
  readonly #agentLog: PartLog;
  readonly #dataDisk: DataDisk;
  readonly #cache: CacheService;
  readonly #deny: DenyService;
  readonly #translator: TranslatorService;
  readonly #engine: Engine;
  readonly #programs = new RunningPrograms();
  #settled: Promise<void> = Promise.resolve();

  constructor(config: BootConfig, settings: GuestSettings, system: AgentSystem, log: Log) {
    const { run } = system;
    this.#config = config;
    this.#settings = settings;
    this.#system = system;
    this.#log = log;
    this.#agentLog = log.part('agent');
    this.#dataDisk = new DataDisk(config, settings, run, log.part('disk'));
    this.#cache = new CacheService(config.cache, settings, run, log.part('cache'));
    const publish = (): Promise<void> => this.#translator.publish();
    this.#cache.onChange(publish);
    this.#deny = new DenyService(settings.dataDirectory, publish, log.part('cache'));
    const inputs = { cache: this.#cache, denied: () => this.#deny.list().rows };
    this.#translator = new TranslatorService(config.translator, settings, inputs, run, log.part('translator'));
    this.#engine = new Engine(config.engine, settings, run, log.part('engine'));
  }

  bringUp(): Promise<void> {
    const { run } = this.#system;
    const dataReady = this.#dataDisk.bringUp();
    this.#cache.useDisk(dataReady);
    this.#engine.start(dataReady);
    const translating = this.#translator.bringUp();
    this.#settled = Promise.all([
      this.#nameGuest(),
      this.#deny.load(dataReady),
      translating,
      this.#recallPrograms(dataReady, translating),
      mountShares(this.#config.shares, this.#settings, run, this.#log.part('share')),
      dataReady,
    ]).then(() => {});
    return this.#settled;
  }

  routes(): Routes {
    return {
      requests: {
        'GET /v1/health': () => this.#health(),
        'GET /v1/cache/stats': () => this.#cache.stats(),
        'POST /v1/cache/verify': () => this.#cache.verify(),
        'POST /v1/cache/prune': ({ body }) => this.#pruneCache(requests.parsePruneRequest(body)),
        'PUT /v1/cache': ({ body }) => this.#cache.setEnabled(requests.parseCacheSwitch(body).enabled),
        'GET /v1/cache/activity': ({ url }) => this.#cache.activity(requests.parseTimeSpan(url.searchParams)),
        'GET /v1/cache/deny': () => this.#deny.list(),
        'POST /v1/cache/deny': ({ body }) => this.#deny.add(requests.parseDenyAdd(body)),
        'POST /v1/cache/deny/remove': ({ body }) => this.#deny.remove(requests.parseDenyRemove(body)),
        'GET /v1/execs': () => this.#translator.execCounts(),
        'PUT /v1/translator': ({ body }) => this.#translator.use(requests.parseTranslatorSwitch(body).name),
        'POST /v1/time': ({ body }) => this.#keepTime(body),
        'GET /v1/logs': ({ url, response }) => sendLogs(this.#log, url.searchParams.get('follow') === '1', response),
        'GET /v1/engine/log': ({ url, response }) =>
          sendText(this.#engine.log, url.searchParams.get('follow') === '1', response),
        'POST /v1/shutdown': (call) =>
          this.#afterAnswer(call, 'The guest powers off.', async () => {
            await this.#engine.stop();
            await this.#keepPrograms();
            await this.#system.power.off();
          }),
        'POST /v1/restart': (call) =>
          this.#afterAnswer(call, 'The agent restarts; running programs end with it.', () => this.#restart()),
      },
      upgrades: {
        [`GET /v1/exec ${EXEC_UPGRADE}`]: (call) => this.#exec(call),
        [`GET /v1/forward ${FORWARD_UPGRADE}`]: (call) =>
          forward(call, requests.parseForwardTarget(call.url.searchParams)),
        [`GET /v1/forward ${DATAGRAM_UPGRADE}`]: (call) =>
          forwardDatagrams(call, requests.parseDatagramTarget(call.url.searchParams)),
        [`GET /v1/cache/off ${HOLD_UPGRADE}`]: (call) => hold(call, () => this.#cache.suspend()),
        [`GET /v1/translator ${HOLD_UPGRADE}`]: (call) => {
          const { name } = requests.parseTranslatorSwitch({ name: call.url.searchParams.get('name') });
          return hold(call, () => this.#translator.borrow(name));
        },
      },
    };
  }

  async close(): Promise<void> {
    this.#programs.killAll();
    await this.#settled;
    await this.#engine.stop();
    await this.#cache.detach();
    await this.#log.flush();
  }

  async #pruneCache(request: CachePruneRequest): Promise<CachePruneResult> {
    const result = await this.#cache.prune(request);
    if (request.dryRun !== true) await this.#translator.forgetPrograms();
    return result;
  }

  /** Without it programs only write to the cache more often than they need to. */
  async #recallPrograms(dataReady: Promise<boolean>, translating: Promise<void>): Promise<void> {
    await translating;
    if (!(await dataReady)) return;
    await this.#translator.recallPrograms().catch((error: Error) => {
      this.#agentLog.warn('Earlier starts of programs are not known.', { reason: error.message });
    });
  }

  async #keepPrograms(): Promise<void> {
    if ((await this.#dataDisk.health()).state !== 'ready') return;
    await this.#translator.keepPrograms().catch((error: Error) => {
      this.#agentLog.warn('Starts of programs were not kept.', { reason: error.message });
    });
  }

  async #health(): Promise<Health> {
    return {
      protocol: PROTOCOL_VERSION,
      agentVersion: version,
      machine: this.#config.machine,
      uptimeSeconds: await uptimeSeconds(),
      kernel: kernelRelease(),
      timeMs: this.#system.clock.now(),
      memory: memory(),
      dataDisk: await this.#dataDisk.health(),
      translator: this.#translator.status(),
      cache: this.#cache.status(),
      engine: this.#engine.status(),
    };
  }

  async #exec(call: UpgradeCall): Promise<void> {
    const request = decodeExecRequest(call.headers['x-rvm-exec']);
    await checkFolders(request);
    await Promise.race([this.#settled, sleep(SETTLE_LIMIT_MS, undefined, { ref: false })]);
    const command = execCommand(request, this.#translator.environment(), this.#settings);
    const { stdin, tty } = request;
    const options = { stdin, ...(tty === undefined ? {} : { tty }) };
    const context = {
      settings: this.#settings,
      run: this.#system.run,
      programs: this.#programs,
      log: this.#log.part('exec'),
    };
    await runExec(call.accept(), command, options, context);
  }

  async #keepTime(body: unknown): Promise<unknown> {
    const result = await keepTime(this.#system.clock, requests.parseTimeRequest(body).timeMs);
    if (result.corrected) this.#agentLog.info('The clock was corrected.', { skewMs: result.skewMs });
    return result;
  }

  #afterAnswer({ response }: Call, message: string, run: () => Promise<void> | void): object {
    this.#agentLog.info(message);
    response.once('close', () => {
      Promise.race([this.#log.flush(), sleep(ANSWER_GRACE_MS)])
        .then(run)
        .catch((error: Error) => this.#agentLog.error('It did not work.', { asked: message, reason: error.message }));
    });
    return {};
  }

  async #restart(): Promise<void> {
    this.#programs.killAll();
    await this.#cache.detach();
    this.#system.power.restartAgent();
  }

  async #nameGuest(): Promise<void> {
    await writeFile(this.#settings.hostnameFile, this.#config.machine).catch((error: Error) => {
      this.#agentLog.warn('The guest has no name.', { reason: error.message });
    });
  }
}

function decodeExecRequest(header: string | string[] | undefined): ExecRequest {
  if (typeof header !== 'string') throw invalidRequest('x-rvm-exec header', 'be there once');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
  } catch {
    throw invalidRequest('x-rvm-exec header', 'be base64url JSON');
  }
  return requests.parseExecRequest(value);
}

/** spawn reports a missing folder as a missing program, so folders are looked at first. */
async function checkFolders({ root, cwd }: ExecRequest): Promise<void> {
  const folder = root ?? cwd ?? '/';
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  throw new RosettaVmError('E_NOT_FOUND', {
    what: `The guest has no folder ${folder}.`,
    why: `It was asked for as the program's ${root === undefined ? 'working folder' : 'root'}.`,
    fix: 'Name a folder that exists in the guest.',
    facts: { folder },
  });
}
