// Which commit a build is made from, so that a benchmark can say what it measured: the tree may be another one by then.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';

const LIMIT_MS = 10_000;

/**
 * Null outside git, without git, and in a package that lies in somebody else's repository. A build of the same commit and
 * the same changes says the same: no date, no path.
 */
export function sourceState(root) {
  const git = (...args) => {
    const { status, stdout } = spawnSync('git', ['-C', root, ...args], { encoding: 'utf8', timeout: LIMIT_MS });
    return status === 0 ? stdout.trim() : null;
  };
  const top = git('rev-parse', '--show-toplevel');
  if (top === null || realpathSync(top) !== realpathSync(root)) return null;
  const id = git('rev-parse', '--verify', 'HEAD');
  const changes = git('status', '--porcelain', '--untracked-files=no');
  if (id === null || changes === null || !/^[0-9a-f]{40}$/.test(id)) return null;
  return { id, dirty: changes !== '' };
}
