/** How one exec is started: pure data, so that the odd orderings can be read (and tested) in one place. */
import type { ExecRequest } from '../protocol.ts';
import { applet, type GuestSettings } from './settings.ts';

/** What child_process.spawn gets. */
export interface ExecCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Prepares a root folder in the mount namespace that unshare has just made, then becomes the program. Only the last
 * step leaves this root: unshare's --root, --wd, --setgid and --setuid are done in that order right before exec, so
 * nothing of the guest has to exist inside. The exit status is the program's, because every step is an exec. The path
 * is whole because busybox's unshare lacks --root, and busybox's shell would prefer its own applet.
 * Parameters: root, then the last step's arguments.
 */
const ENTER_ROOT = [
  'root=$1; shift',
  'mount --rbind /dev "$root/dev" && mount --bind /proc "$root/proc" && mount --rbind /sys "$root/sys" || exit 126',
  'exec /usr/bin/unshare --root="$root" "$@"',
].join('\n');

/**
 * Settles program, environment and identity. `translated` is the translator's environment; the request's own variables
 * win over it, so that a person can try a translator's setting.
 */
export function execCommand(
  request: ExecRequest,
  translated: Readonly<Record<string, string>>,
  settings: GuestSettings,
): ExecCommand {
  const env = {
    ...settings.environment,
    ...(request.tty === undefined ? {} : { TERM: request.tty.term }),
    ...translated,
    ...request.env,
  };
  const cwd = request.cwd ?? '/';
  // The session's terminal must become the controlling one before anything else runs (setsid(1), --ctty).
  const session = request.tty === undefined ? [] : applet(settings, 'setsid', '-c');
  if (request.root === undefined) {
    const [program = '', ...args] = [...session, ...request.argv];
    return { program, args, cwd, env, ...identity(request) };
  }
  const enter = [
    ...applet(settings, 'unshare', '--mount', '--propagation', 'private'),
    ...applet(settings, 'sh', '-c', ENTER_ROOT, 'enter-root', request.root),
    `--wd=${cwd}`,
    ...(request.gid === undefined ? [] : [`--setgid=${request.gid}`]),
    ...(request.uid === undefined ? [] : [`--setuid=${request.uid}`]),
    '--',
    ...request.argv,
  ];
  const [program = '', ...args] = [...session, ...enter];
  return { program, args, cwd: '/', env };
}

function identity(request: ExecRequest): { uid?: number; gid?: number } {
  return {
    ...(request.uid === undefined ? {} : { uid: request.uid }),
    ...(request.gid === undefined ? {} : { gid: request.gid }),
  };
}
