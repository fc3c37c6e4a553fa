// `npm test`: everything a submission must pass. Ends with one line, `N passed, N failed`.
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildAll } from './build.mjs';
import { tasks, vitest } from './tasks.mjs';

/** What only a Mac can show; counted, so that nobody takes a green run for more than it is. */
const NEEDS_A_MAC = ['the Virtualization.framework driver', 'Rosetta itself (its logic is tested with a stand-in)'];

/** vitest's projects, in two rows of about the same length: one machine, of one CPU, leaves half of two CPUs free. */
const LANES = [
  ['integration', 'programs'],
  ['unit', 'machines'],
];

/**
 * Types and formatting first (they fail fastest), then the unit tests, real programs, and real virtual machines, two
 * projects at a time. Every step runs even when an earlier one failed. Arguments go to vitest.
 */
export async function testAll(root, rest) {
  await buildAll(root, { install: true });
  const count = { passed: 0, failed: 0 };
  /** What failed, told once more at the end: its own message is thousands of lines up by then. */
  const failures = [];
  const check = async (title, work) => {
    const started = performance.now();
    const ok = (await work()) === 0;
    count[ok ? 'passed' : 'failed'] += 1;
    if (!ok) failures.push(title);
    process.stdout.write(
      `${ok ? 'ok' : 'FAILED'}: ${title} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`,
    );
  };
  await check('host packages', () => ensureHostPackages(root));
  await check('types', () => tasks.check(root));
  await check('format and lint', () => tasks.lint(root, []));
  const inTurn = async (projects) => {
    for (const project of projects) await suite(root, project, rest, count, failures);
  };
  await Promise.all(LANES.map(inTurn));
  for (const failure of failures) process.stdout.write(`FAILED: ${failure}\n`);
  process.stdout.write(`${NEEDS_A_MAC.length} things cannot run here, they need a Mac: ${NEEDS_A_MAC.join('; ')}.\n`);
  process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`);
  return count.failed === 0 && count.passed > 0 ? 0 : 1;
}

/**
 * Debian package → a program of it, a file, or programs of which one will do: the tests start these on the host, in the
 * guest's stead, check the native addon with clang and gyp, and look at the benchmark report in a browser.
 */
const TEST_PROGRAMS = {
  'busybox-static': 'busybox',
  'chromium-headless-shell': ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'],
  clang: 'clang',
  e2fsprogs: 'mkfs.ext4',
  gcc: 'cc',
  'libgnustep-base-dev': '/usr/include/GNUstep/Foundation/Foundation.h',
  procps: 'ps',
  python3: 'python3',
  'qemu-user': 'qemu-x86_64',
  'qemu-utils': 'qemu-nbd',
  socat: 'socat',
  'util-linux': 'flock',
};

/** What machines need, and what the tests need beside it. */
async function ensureHostPackages(root) {
  const { ensureHost, installPackages, statePaths } = await import(path.join(root, 'dist/index.js'));
  const onProgress = (event) => {
    if (event.kind === 'begin') process.stdout.write(`${event.title} …\n`);
  };
  try {
    const missing = Object.entries(TEST_PROGRAMS).filter(([, programs]) => ![programs].flat().some(isInstalled));
    const names = missing.map(([name]) => name);
    if (names.length > 0) await installPackages(names, { onProgress });
    await ensureHost(statePaths(), { onProgress });
    return 0;
  } catch (error) {
    process.stdout.write(`${error.message}\n`);
    return 1;
  }
}

/** sbin may be missing from an ordinary user's PATH. */
function isInstalled(program) {
  if (path.isAbsolute(program)) return existsSync(program);
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(path.join(folder, program)));
}

/** Runs one vitest project and adds its counts and failures; a run that leaves no report counts as one failure. */
async function suite(root, project, rest, count, failures) {
  const report = path.join(tmpdir(), `rosetta-vm-${project}-${process.pid}.json`);
  const status = await vitest(root, [
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    // Of what somebody names, one project may have none.
    ...(rest.length > 0 ? ['--passWithNoTests'] : []),
    ...rest,
  ]);
  try {
    const { numPassedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(await readFile(report, 'utf8'));
    const failed = testResults.flatMap((file) => failuresOf(file, path.relative(root, file.name)));
    if (status !== 0 && failed.length === 0) failed.push(`the ${project} tests: vitest ended with ${status}`);
    const notRun = numPendingTests + numTodoTests;
    count.passed += numPassedTests;
    count.failed += failed.length + notRun;
    failures.push(...failed);
    if (notRun > 0) failures.push(`${notRun} tests of ${project} did not run: that counts as failed`);
  } catch {
    failures.push(`the ${project} tests left no report`);
    count.failed += 1;
  } finally {
    await rm(report, { force: true });
  }
}

/** A line for each failed test of a file, with what it said first; one for a file that failed as a whole. */
function failuresOf(file, name) {
  if (file.status !== 'failed') return [];
  const told = (title, message) => `${title}: ${message.split('\n', 1)[0]}`;
  const failed = file.assertionResults.filter((result) => result.status === 'failed');
  if (failed.length === 0) return [told(name, file.message)];
  return failed.map((result) => told(`${name} > ${result.fullName}`, result.failureMessages[0] ?? ''));
}
