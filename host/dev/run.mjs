// What `npm run …` starts: installs the npm dependencies when they are missing, then hands over to the task.
// Plain JavaScript without dependencies, since it runs before there are any.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BuildError } from './build-error.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const [task = '', ...rest] = process.argv.slice(2);

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Node ${process.versions.node} is too old.`, 'rosetta-vm needs Node 20.19 or later.', 'Install a current Node.');
}

installDependencies();
const { tasks } = await import('./tasks.mjs');
const run = tasks[task];
if (run === undefined) fail(`There is no task "${task}".`, '', `Tasks: ${Object.keys(tasks).join(', ')}.`);
try {
  process.exitCode = await run(root, rest);
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  fail(error.message);
}

/** `npm ci` when node_modules is absent or older than the lock file. */
function installDependencies() {
  const marker = path.join(root, 'node_modules/.package-lock.json');
  const lock = path.join(root, 'package-lock.json');
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs - 1000 && sameVersions(marker, lock))
    return;
  process.stderr.write('Installing npm dependencies …\n');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    timeout: 10 * 60_000,
  });
  if (status !== 0) {
    fail(
      'The npm dependencies could not be installed.',
      '`npm ci` failed; its output is above.',
      'Mend the cause and run this again.',
    );
  }
}

/** True when every package that the lock file names is installed in that version (a clone's mtimes say nothing). */
function sameVersions(marker, lock) {
  const installed = JSON.parse(readFileSync(marker, 'utf8')).packages;
  return Object.entries(JSON.parse(readFileSync(lock, 'utf8')).packages).every(
    ([name, entry]) => name === '' || entry.optional === true || installed[name]?.version === entry.version,
  );
}

function fail(...lines) {
  process.stderr.write(`${lines.filter(Boolean).join('\n')}\n`);
  process.exit(1);
}
