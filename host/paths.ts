/** Where state lives. One variable moves everything; without it `~/.rosetta-vm` on macOS and XDG folders on Linux. */
import { createHash } from 'node:crypto';
import { homedir, platform } from 'node:os';
import path from 'node:path';

export interface StatePaths {
  /** One folder a machine: record, disks, logs. */
  readonly machines: string;
  /** One folder an image. */
  readonly images: string;
  /** Downloads by digest; safe to delete. */
  readonly downloads: string;
  /** Host tools taken from Debian, such as vhost-device-vsock. */
  readonly tools: string;
  /** Signed copies of node that host processes run on (macOS); made anew when they are missing. */
  readonly hosts: string;
  /** Sockets of running machines; short paths, mode 0700. */
  readonly run: string;
}

/** Settles the folders from the environment; nothing is created. */
export function statePaths(env: NodeJS.ProcessEnv = process.env, home: string = homedir()): StatePaths {
  const own = env.ROSETTA_VM_HOME;
  if (own !== undefined && own !== '') return under(path.resolve(own));
  if (platform() === 'darwin') return under(path.join(home, '.rosetta-vm'));
  const xdg = (variable: string, fallback: string): string => {
    const value = env[variable];
    // The XDG base directory specification says that a relative value is invalid and ignored.
    return path.join(value !== undefined && path.isAbsolute(value) ? value : path.join(home, fallback), 'rosetta-vm');
  };
  const data = xdg('XDG_DATA_HOME', '.local/share');
  const runtime = env.XDG_RUNTIME_DIR;
  return {
    machines: path.join(data, 'machines'),
    images: path.join(data, 'images'),
    tools: path.join(data, 'tools'),
    hosts: path.join(data, 'hosts'),
    downloads: path.join(xdg('XDG_CACHE_HOME', '.cache'), 'downloads'),
    run: runtime !== undefined && path.isAbsolute(runtime) ? path.join(runtime, 'rosetta-vm') : path.join(data, 'run'),
  };
}

function under(root: string): StatePaths {
  const folder = (name: string): string => path.join(root, name);
  return {
    machines: folder('machines'),
    images: folder('images'),
    downloads: folder('downloads'),
    tools: folder('tools'),
    hosts: folder('hosts'),
    run: folder('run'),
  };
}

/** Socket folder of a machine: 8 hexadecimal digits, so that its length does not depend on the name. */
export function runtimeDirectory(paths: StatePaths, machine: string): string {
  return path.join(paths.run, createHash('sha256').update(`${paths.machines}\0${machine}`).digest('hex').slice(0, 8));
}
