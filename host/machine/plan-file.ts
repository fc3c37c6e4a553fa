/** The plan's way from `up` to the host process: a file in the machine's folder. */
import { RosettaVmError } from '../errors.ts';
import { readBounded, writeWhole } from '../files.ts';
import type { MachinePlan } from '../plan/plan.ts';

const MAX_PLAN_BYTES = 256 * 1024;

export async function writePlan(file: string, plan: MachinePlan): Promise<void> {
  await writeWhole(file, `${JSON.stringify(plan, null, 2)}\n`);
}

/** Reads what {@link writePlan} wrote a moment ago. Throws `E_CORRUPT` when it is something else. */
export async function readPlan(file: string): Promise<MachinePlan> {
  const text = await readBounded(file, MAX_PLAN_BYTES);
  try {
    const plan = JSON.parse(text ?? '') as MachinePlan;
    if (plan.schemaVersion === 1) return plan;
  } catch {
    // The error below says it.
  }
  throw new RosettaVmError('E_CORRUPT', {
    what: 'The machine’s plan cannot be read.',
    why: `${file} is missing, damaged, or of another version of rosetta-vm.`,
    fix: 'Run `rosetta-vm up` again: it is written anew for every start.',
    facts: { file },
  });
}
