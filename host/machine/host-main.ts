/**
 * Entry of the host process, never started by a person:
 * - `machine-host.js NAME PATHS` runs a machine until it stops (start-host.ts);
 * - `machine-host.js --setup PLAN PATHS` runs the machine that makes a system disk (setup-machine.ts).
 *
 * PATHS is a {@link StatePaths} as JSON.
 */
import { hostDriver } from '../drivers/index.ts';
import { asRosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import { runHostProcess } from './host-process.ts';
import { readPlan } from './plan-file.ts';
import { machineFolder, writeLastStop } from './record.ts';
import { answerSetup } from './setup-machine.ts';

if (process.argv[2] === '--setup') {
  const [, , , planFile = '', json = '{}'] = process.argv;
  await answerSetup(planFile, () => hostDriver(JSON.parse(json) as StatePaths));
  process.exit(0);
}

const [, , name = '', json = '{}'] = process.argv;
const paths = JSON.parse(json) as StatePaths;
const folder = machineFolder(paths, name);
try {
  await runHostProcess(folder, await readPlan(folder.plan), await hostDriver(paths));
  process.exit(0);
} catch (error) {
  const known = asRosettaVmError(error);
  // Another host process owns the machine, and its notes.
  if (known.code !== 'E_LOCKED') {
    await writeLastStop(folder, { kind: 'failed', message: known.what, error: known.toJSON(), at: Date.now() });
  }
  process.stderr.write(`${known.stack ?? known.message}\n`);
  process.exit(known.exitStatus);
}
