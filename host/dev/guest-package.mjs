// The package that brings the guest's C programs to hosts without a compiler: made here, and read where it is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, copyFile, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { BuildError } from './build-error.mjs';
import { COMPILER_FIX, compileGuestProgram, findCompiler, GUEST_PROGRAMS, sourcesDigest } from './guest-compiler.mjs';

export const GUEST_PACKAGE = '@rosetta-vm/guest-arm64';
/** Of the package: what it is made of, and the digest of each program. */
const MANIFEST = 'manifest.json';
const OUTPUT = 'guest/build';
/** The programs have some ten kilobytes. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Compiles the programs and packs them with npm, below guest/build; prints the tarball's path. The same sources and
 * compiler give the same bytes: npm gives all files one time, and the modes are set here. Throws a BuildError where
 * there is no compiler: an installed package is not packed again.
 */
export async function packGuest(root) {
  const compiler = findCompiler();
  if (compiler === undefined) {
    throw new BuildError(
      `The package ${GUEST_PACKAGE} cannot be made.`,
      'There is no compiler for arm64 Linux on this host.',
      `${COMPILER_FIX}.`,
    );
  }
  const folder = path.join(root, OUTPUT, 'package');
  await rm(path.join(root, OUTPUT), { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await cp(path.join(root, 'guest/package'), folder, { recursive: true });
  await copyFile(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'));
  const programs = {};
  for (const name of GUEST_PROGRAMS) {
    await compileGuestProgram(root, name, compiler, path.join(folder, name));
    programs[name] = { sha256: sha256(await readFile(path.join(folder, name))) };
  }
  const manifest = { schemaVersion: 1, sources: await sourcesDigest(root), programs };
  await writeFile(path.join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const name of await readdir(folder)) {
    await chmod(path.join(folder, name), GUEST_PROGRAMS.includes(name) ? 0o755 : 0o644);
  }
  process.stdout.write(`${path.join(OUTPUT, await pack(folder))}\n`);
  return 0;
}

/**
 * The programs (name → bytes) of the package that is installed beside rosetta-vm; undefined when there is none. Throws a
 * BuildError when it is of another version or of other sources, or when a program is not what its manifest says.
 */
export async function installedPrograms(root) {
  const folder = installedFolder(root);
  if (folder === undefined) return undefined;
  const [own, packed] = await Promise.all([root, folder].map((one) => readJson(path.join(one, 'package.json'))));
  if (packed?.version !== own.version) {
    throw unfit(own.version, `It is of version ${packed?.version}, and this is rosetta-vm ${own.version}.`);
  }
  const manifest = await readJson(path.join(folder, MANIFEST));
  if (manifest?.schemaVersion !== 1) throw unfit(own.version, `Its ${MANIFEST} is damaged.`);
  if (manifest.sources !== (await sourcesDigest(root))) {
    throw unfit(own.version, 'The C sources here are not those that it was made of.');
  }
  const programs = new Map();
  for (const name of GUEST_PROGRAMS) {
    const bytes = await readBounded(path.join(folder, name));
    if (bytes === undefined || sha256(bytes) !== manifest.programs?.[name]?.sha256) {
      throw unfit(own.version, `Its ${name} does not have the digest that its ${MANIFEST} names.`);
    }
    programs.set(name, bytes);
  }
  return programs;
}

/** How to install it, for people. */
export const installCommand = (version) => `npm install --no-save ${GUEST_PACKAGE}@${version}`;

function installedFolder(root) {
  try {
    return path.dirname(createRequire(path.join(root, 'package.json')).resolve(`${GUEST_PACKAGE}/package.json`));
  } catch {
    return undefined;
  }
}

/** `npm pack`; answers with the tarball's name. */
async function pack(folder) {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', '..'];
  const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', timeout: 60_000 });
  if (status === 0) return JSON.parse(stdout)[0].filename;
  throw new BuildError('npm could not pack the package.', (error?.message ?? stderr).trim(), 'Mend the cause.');
}

/** Undefined when it is not there, too large, or no JSON. */
async function readJson(file) {
  try {
    return JSON.parse((await readBounded(file)).toString('utf8'));
  } catch {
    return undefined;
  }
}

async function readBounded(file) {
  const size = (await stat(file).catch(() => undefined))?.size;
  return size === undefined || size > MAX_FILE_BYTES ? undefined : await readFile(file);
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function unfit(version, why) {
  return new BuildError(
    `The installed package ${GUEST_PACKAGE} cannot be used.`,
    why,
    `${COMPILER_FIX}, or the package anew: ${installCommand(version)}`,
  );
}
