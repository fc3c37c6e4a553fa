/** Scripts in the guest whose mounts end with them, and that reach no network: no result may depend on one. */
import { runInGuest } from '../../host/channel/guest-command.ts';
import type { AgentClient } from '../../host/index.ts';

/** Messages and the order of names must not depend on who measures; dpkg wants the folders of the system's programs. */
const ENVIRONMENT = {
  LC_ALL: 'C',
  DEBIAN_FRONTEND: 'noninteractive',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

export interface CallLimits {
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** A new network namespace has a loopback interface alone, which is down (network_namespaces(7)); `ip` is busybox's. */
const LOOPBACK = 'set -e; ip link set lo up';

/** Runs it with the guest's shell and answers what it printed. Throws `E_EXEC`, `E_TIMEOUT`, `E_ABORTED`. */
export async function inNamespaces(
  agent: AgentClient,
  script: string,
  parameters: readonly string[],
  limits: CallLimits,
): Promise<string> {
  const argv = [
    ...['/usr/bin/unshare', '--mount', '--net', '--propagation', 'private'],
    ...['/bin/sh', '-c', `${LOOPBACK}\n${script}`, 'bench', ...parameters],
  ];
  return (await runInGuest(agent, { argv, env: ENVIRONMENT }, limits)).stdout;
}
