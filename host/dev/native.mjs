// The native addon on a Mac: building it, and laying out the platform package that is published with each release.
import { chmod, copyFile, cp, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';

const ADDON = 'native/build/Release/vz.node';
const PACKAGE = 'native/build/package';

/**
 * Compiles native/ through `nodeGyp`, which takes node-gyp's arguments and gives its exit status. Needs Apple's Command
 * Line Tools with the SDK of macOS 14 or later.
 */
export async function buildNative(nodeGyp, rest) {
  const refusal = whyNot(process.platform, process.arch);
  if (refusal !== null) {
    process.stderr.write(`${refusal}\n`);
    return 1;
  }
  return await nodeGyp(['rebuild', '--directory=native', '--arch=arm64', ...rest]);
}

/** Lays the built addon out as the package `@rosetta-vm/darwin-arm64`, in native/build/package. */
export async function packNative(root) {
  const folder = path.join(root, PACKAGE);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await cp(path.join(root, 'native/package'), folder, { recursive: true });
  await copyFile(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'));
  await copyFile(path.join(root, ADDON), path.join(folder, 'vz.node'));
  await chmod(path.join(folder, 'vz.node'), 0o755);
  process.stdout.write(`${PACKAGE}\n`);
  return 0;
}

/** Why the addon cannot be built on such a host, with what to do; null where it can. */
export function whyNot(platform, architecture) {
  if (platform !== 'darwin') return 'The addon is for macOS alone. On Linux, rosetta-vm needs none: it runs on QEMU.';
  if (architecture !== 'arm64') {
    return 'The addon needs an arm64 Node on Apple silicon; this one is for Intel. Install Node for arm64.';
  }
  return null;
}
