/** What dockerd is told: its configuration file (dockerd(8), "Daemon configuration file"), as data. */
import path from 'node:path';
import type { GuestSettings } from '../agent/settings.ts';
import type { BootConfig } from '../protocol.ts';

/** A container that ignores SIGTERM is ended after this when the machine goes down, seconds. */
export const SHUTDOWN_TIMEOUT_SECONDS = 10;

/** The content of `daemon.json`. */
export function daemonConfig(config: BootConfig['engine'], settings: GuestSettings): Record<string, unknown> {
  return {
    hosts: [`unix://${settings.dockerSocket}`],
    'data-root': path.join(settings.dataDirectory, 'docker'),
    // The guest has no systemd, which the other driver talks to.
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    builder: { gc: { enabled: true, defaultKeepStorage: `${config.buildCacheBytes}` } },
    // Docker's default keeps a container's output without any limit.
    'log-driver': 'json-file',
    'log-opts': { 'max-size': '10m', 'max-file': '3' },
    'shutdown-timeout': SHUTDOWN_TIMEOUT_SECONDS,
  };
}
