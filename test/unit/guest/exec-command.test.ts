import { describe, expect, it } from 'vitest';
import { execCommand } from '../../../guest/agent/exec-command.ts';
import { GUEST_SETTINGS } from '../../../guest/agent/settings.ts';

const translated = { BOX64_DYNACACHE: '1', BOX64_LOG: '0' };

describe('the command of an exec', () => {
  it('is the program itself, with the guest’s environment and the translator’s', () => {
    expect(execCommand({ argv: ['ls', '-l'], stdin: false }, translated, GUEST_SETTINGS)).toEqual({
      program: 'ls',
      args: ['-l'],
      cwd: '/',
      env: { ...GUEST_SETTINGS.environment, ...translated },
    });
  });

  it('lets the request’s variables win over the translator’s', () => {
    const { env } = execCommand({ argv: ['x'], stdin: false, env: { BOX64_LOG: '1' } }, translated, GUEST_SETTINGS);
    expect(env).toMatchObject({ BOX64_LOG: '1', BOX64_DYNACACHE: '1' });
  });

  it('takes the terminal before it enters another root, and drops its identity last', () => {
    const tty = { columns: 80, rows: 24, term: 'xterm' };
    const request = { argv: ['gcc', '--', '$x'], stdin: true, root: '/data/my root', cwd: '/src', uid: 7, gid: 8, tty };
    const { program, args, cwd, uid } = execCommand(request, {}, GUEST_SETTINGS);
    const line = [program, ...args];
    expect(line.slice(0, 3)).toEqual(['/bin/busybox', 'setsid', '-c']);
    expect(line.indexOf('unshare')).toBeGreaterThan(3);
    expect(line.slice(line.indexOf('/data/my root'))).toEqual([
      ...['/data/my root', '--wd=/src', '--setgid=8', '--setuid=7', '--', 'gcc', '--', '$x'],
    ]);
    // The mounts need root, so spawn itself must not drop it; and the folder exists in the other root only.
    expect([cwd, uid]).toEqual(['/', undefined]);
  });
});
