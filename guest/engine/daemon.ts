/** One dockerd process: started, or found running from the time of an earlier agent. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestSettings } from '../agent/settings.ts';
import type { EngineLog } from './engine-log.ts';

/** Between two looks at a process that is not our child. */
const POLL_MS = 500;
/** The kernel's own limit (proc_sys_kernel(5), pid_max). */
const MAX_PID = 2 ** 22;

export interface Daemon {
  readonly pid: number;
  /** Resolves with how it ended, one sentence. */
  readonly ended: Promise<string>;
}

/** Where the daemon's files of this boot are. */
export interface DaemonFiles {
  /** `daemon.json`. */
  readonly config: string;
  readonly pid: string;
  /** First on the daemon's PATH: the runc shim. */
  readonly programs: string;
}

export function daemonFiles(settings: GuestSettings): DaemonFiles {
  const at = (name: string): string => path.join(settings.runDirectory, 'engine', name);
  return { config: at('daemon.json'), pid: at('dockerd.pid'), programs: at('bin') };
}

/**
 * Starts dockerd in a session of its own: it outlives an agent that restarts, and its containers with it. Throws when it
 * cannot be started.
 */
export async function startDaemon(settings: GuestSettings, log: EngineLog): Promise<Daemon> {
  const files = daemonFiles(settings);
  const [program, ...args] = [...settings.dockerd, '--config-file', files.config, '--pidfile', files.pid];
  const output = await log.openForDaemon();
  try {
    const child = spawn(program ?? '', args, {
      cwd: '/',
      detached: true,
      env: { ...settings.environment, PATH: `${files.programs}:${settings.environment.PATH ?? ''}` },
      stdio: ['ignore', output.fd, output.fd],
    });
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `It ended with status ${code}.` : `It was ended by ${signal}.`),
      );
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return { pid: child.pid ?? 0, ended };
  } finally {
    await output.close();
  }
}

/** The dockerd of an earlier agent of this boot, when it still runs. */
export async function findDaemon(settings: GuestSettings): Promise<Daemon | undefined> {
  const files = daemonFiles(settings);
  const pid = Number((await readFile(files.pid, 'utf8').catch(() => '')).trim());
  if (!Number.isSafeInteger(pid) || pid <= 1 || pid > MAX_PID || !(await isDaemon(pid, files.config))) return undefined;
  return { pid, ended: untilGone(pid, files.config) };
}

/** A number alone may be another process's by now; nothing else has this file among its arguments. */
async function isDaemon(pid: number, configFile: string): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.split('\0').includes(configFile);
}

async function untilGone(pid: number, configFile: string): Promise<string> {
  while (await isDaemon(pid, configFile)) await sleep(POLL_MS, undefined, { ref: false });
  return 'It ended.';
}
