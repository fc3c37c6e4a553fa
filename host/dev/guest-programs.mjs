// Brings the guest's C programs into dist/guest/: without them a guest could not start x86_64 programs.
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BuildError } from './build-error.mjs';
import { COMPILER_FIX, compileGuestProgram, findCompiler, GUEST_PROGRAMS } from './guest-compiler.mjs';
import { installCommand, installedPrograms } from './guest-package.mjs';

/**
 * Compiles them, or takes them from the package `@rosetta-vm/guest-arm64` where there is no compiler. Where there is
 * neither, `install` (a function of Debian package names) is tried. Throws a BuildError when nothing serves, when the
 * package is not of this version, damaged or of other sources, or when a source has an error.
 */
export async function buildGuestPrograms(root, install) {
  let compiler = findCompiler();
  const packed = compiler === undefined ? await installedPrograms(root) : undefined;
  if (compiler === undefined && packed === undefined) {
    await install?.(['gcc-aarch64-linux-gnu']);
    compiler = findCompiler();
  }
  const folder = path.join(root, 'dist/guest');
  await mkdir(folder, { recursive: true });
  for (const name of GUEST_PROGRAMS) {
    const output = path.join(folder, name);
    if (packed !== undefined) await writeProgram(output, packed.get(name));
    else if (compiler !== undefined) await compileGuestProgram(root, name, compiler, output);
    else throw await nothingServes(root);
  }
}

async function writeProgram(output, bytes) {
  const temporary = `${output}.${process.pid}.tmp`;
  await writeFile(temporary, bytes);
  await chmod(temporary, 0o755);
  await rename(temporary, output);
}

async function nothingServes(root) {
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  return new BuildError(
    'The guest’s C programs cannot be built.',
    'There is no compiler for arm64 Linux on this host, nor the package that has them ready.',
    `${COMPILER_FIX}, or the package: ${installCommand(version)}`,
  );
}
