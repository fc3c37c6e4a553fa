/** Entry of the host process: `machine-host.js NAME PATHS`, the paths as JSON. Started by start-host.ts, never by a person. */
import { hostDriver } from '../drivers/index.ts';
import { asRosettaVmError } from '../errors.ts';
import type { StatePaths } from '../paths.ts';
import { runHostProcess } from './host-process.ts';
import { readPlan } from './plan-file.ts';
import { machineFolder, writeLastStop } from './record.ts';

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
