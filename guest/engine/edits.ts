/**
 * What the runc shim (runc-shim/) does to each x86_64 container: a file of lines, `mount <source> <destination> ro|rw`,
 * `env NAME=value` and `scratch <folder>`, because the shim must work while the agent does not.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeWhole } from '../../host/files.ts';
import type { ProgramEdits } from '../translators/translator.ts';

/** The whole file. Mounts come in the order in which they must be made. */
export function editsFile({ mounts, env, scratch = [] }: ProgramEdits): string {
  const lines = [
    ...mounts.map((mount) => `mount ${mount.path} ${mount.path} ${mount.readOnly ? 'ro' : 'rw'}`),
    ...Object.entries(env).map(([name, value]) => `env ${name}=${value}`),
    ...scratch.map((folder) => `scratch ${folder}`),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** Writes it where the shim reads it. */
export async function writeEdits(runDirectory: string, edits: ProgramEdits): Promise<void> {
  const folder = path.join(runDirectory, 'engine');
  await mkdir(folder, { recursive: true });
  await writeWhole(path.join(folder, 'edits'), editsFile(edits), 0o644);
}
