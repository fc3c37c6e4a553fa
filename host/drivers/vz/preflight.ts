/**
 * What is looked at before the framework is asked. It answers some of these mistakes with an exception or with a code
 * that does not say which file is meant.
 */
import { open, writeFile } from 'node:fs/promises';
import { RosettaVmError } from '../../errors.ts';
import type { MachinePlan } from '../../plan/plan.ts';
import { checkPlanFiles } from '../plan-files.ts';
import { asEarlyRefusal } from './early-refusal.ts';

/** An arm64 kernel's header: `ARM\x64` at byte 56 (Documentation/arch/arm64/booting.rst). */
const IMAGE_MAGIC = Buffer.from('ARM\x64', 'latin1');
const IMAGE_MAGIC_OFFSET = 56;

/** Throws what {@link checkPlanFiles} throws, or `E_INVALID` for a kernel that VZLinuxBootLoader cannot start. */
export async function preflight(plan: MachinePlan): Promise<void> {
  try {
    await checkPlanFiles(plan);
    await checkKernel(plan.boot.kernel);
  } catch (error) {
    throw asEarlyRefusal(error);
  }
}

/** Empties the console's log: the addon appends to it (see {@link MachinePlan.serialLog}). */
export async function emptySerialLog({ serialLog }: MachinePlan): Promise<void> {
  await writeFile(serialLog, '', { mode: 0o600 });
}

async function checkKernel(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(IMAGE_MAGIC.length), 0, IMAGE_MAGIC.length, IMAGE_MAGIC_OFFSET);
    if (buffer.equals(IMAGE_MAGIC)) return;
  } finally {
    await file.close();
  }
  throw new RosettaVmError('E_INVALID', {
    what: `The kernel is no uncompressed arm64 Image: ${path}`,
    why: 'Virtualization.framework starts nothing else: no compressed kernel, and none of another architecture.',
    fix: 'Build the image again with `rosetta-vm image build`.',
    facts: { path },
  });
}
