/** A PATH on which the host has everything, so that a test does not depend on what this host has. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

const ANSWERS: Readonly<Record<string, string>> = {
  'qemu-system-aarch64': 'echo "QEMU emulator version 9.2.0"',
  virtiofsd: 'case $1 in --help) echo "--shared-dir --readonly";; *) echo "virtiofsd 1.13.0";; esac',
  'vhost-device-vsock': 'echo "vhost-device-vsock 0.3.0"',
};

/** Puts stand-ins for the named programs (default: all) into a folder that it makes, and answers with the folder. */
export async function hostTools(folder: string, names: readonly string[] = Object.keys(ANSWERS)): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const name of names) await script(path.join(folder, name), ANSWERS[name] ?? '');
  return folder;
}

/** An executable shell script. */
export async function script(file: string, body: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}
