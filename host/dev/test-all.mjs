// `npm test`: everything a submission must pass. Ends with one line, `N passed, N failed`.
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildAll } from './build.mjs';
import { run, tasks, vitest } from './tasks.mjs';

/** What only a Mac can show; counted, so that nobody takes a green run for more than it is. */
const NEEDS_A_MAC = ['the Virtualization.framework driver', 'Rosetta itself (its logic is tested with a stand-in)'];

/**
 * Types and formatting first (they fail fastest), then the unit tests, then real virtual machines. Every step runs
 * even when an earlier one failed. Arguments go to vitest.
 */
export async function testAll(root, rest) {
  await buildAll(root);
  const count = { passed: 0, failed: 0 };
  const check = async (title, work) => {
    const started = performance.now();
    const ok = (await work()) === 0;
    count[ok ? 'passed' : 'failed'] += 1;
    process.stdout.write(
      `${ok ? 'ok' : 'FAILED'}: ${title} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`,
    );
  };
  await check('types', () => tasks.check(root));
  await check('format and lint', () => tasks.lint(root, []));
  await suite(root, 'unit', rest, count);
  await check('host packages', () =>
    run(root, process.execPath, [path.join(root, 'dist/rosetta-vm.js'), 'doctor', '--fix']),
  );
  await suite(root, 'integration', rest, count);
  process.stdout.write(`${NEEDS_A_MAC.length} things cannot run here, they need a Mac: ${NEEDS_A_MAC.join('; ')}.\n`);
  process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`);
  return count.failed === 0 && count.passed > 0 ? 0 : 1;
}

/** Runs one vitest project and adds its counts; a run that leaves no report counts as one failure. */
async function suite(root, project, rest, count) {
  const report = path.join(tmpdir(), `rosetta-vm-${project}-${process.pid}.json`);
  const status = await vitest(root, [
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...rest,
  ]);
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
      await readFile(report, 'utf8'),
    );
    const notRun = numPendingTests + numTodoTests;
    if (notRun > 0) process.stdout.write(`${notRun} tests of ${project} did not run: that counts as failed.\n`);
    count.passed += numPassedTests;
    count.failed += Math.max(numFailedTests + notRun, status === 0 ? 0 : 1);
  } catch {
    process.stdout.write(`The ${project} tests left no report.\n`);
    count.failed += 1;
  } finally {
    await rm(report, { force: true });
  }
}
