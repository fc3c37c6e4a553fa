/** Finds and loads the native addon: `vz.node`, prebuilt in a package of its own or built from native/. */
import { access } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { RosettaVmError } from '../../errors.ts';
import { packageFile } from '../../package-root.ts';
import { version } from '../../version.ts';
import { ADDON_PROTOCOL, type VzAddon } from './addon.ts';

/** Path of an addon to use before any other: the signed host's own copy, or one that a developer tries. */
export const ADDON_VARIABLE = 'ROSETTA_VM_ADDON';
/** The only platform that has Virtualization.framework with Rosetta for Linux. */
const PLATFORM_PACKAGE = '@rosetta-vm/darwin-arm64';
/** What node-gyp makes of native/binding.gyp. */
const BUILT_HERE = 'native/build/Release/vz.node';

/** Where to look; the defaults are this process's. */
export interface AddonPlaces {
  readonly env?: NodeJS.ProcessEnv;
  /** Resolves a module's file as `require.resolve` does: throws where there is none. */
  readonly resolve?: (module: string) => string;
  /** The addon that `npm run build:native` made. */
  readonly builtHere?: string;
}

/**
 * Absolute path of the addon: what ROSETTA_VM_ADDON names, else the platform package's, else the one built here. Throws
 * `E_HOST_MISSING` when there is none, `E_USAGE` for a bad ROSETTA_VM_ADDON.
 */
export async function addonFile(places: AddonPlaces = {}): Promise<string> {
  const { env = process.env, resolve = createRequire(import.meta.url).resolve } = places;
  const named = env[ADDON_VARIABLE];
  if (named !== undefined && named !== '') return await namedFile(named);
  try {
    return resolve(`${PLATFORM_PACKAGE}/vz.node`);
  } catch {
    const built = places.builtHere ?? packageFile(BUILT_HERE);
    if (await exists(built)) return built;
  }
  throw new RosettaVmError('E_HOST_MISSING', {
    what: 'The addon for Virtualization.framework is not installed.',
    why:
      `The package ${PLATFORM_PACKAGE} is not there: npm leaves it out with --omit=optional, on another platform than ` +
      'macOS on Apple silicon, and where a lock file was made without it.',
    fix:
      `Install it beside rosetta-vm, in the same version: npm install ${PLATFORM_PACKAGE}@${version} ` +
      `(with -g where rosetta-vm is global). In a clone of the repository: npm run build:native`,
    facts: { package: PLATFORM_PACKAGE },
  });
}

/**
 * Loads it. Throws what {@link addonFile} throws, and `E_HOST_MISSING` when the system refuses the file or it is one of
 * another protocol.
 */
export async function loadAddon(places: AddonPlaces = {}): Promise<VzAddon> {
  const file = await addonFile(places);
  const addon = loadFile(file);
  if (isAddon(addon) && addon.protocol === ADDON_PROTOCOL) return addon;
  throw new RosettaVmError('E_HOST_MISSING', {
    what: 'The addon for Virtualization.framework is of another version than rosetta-vm.',
    why: `${file} speaks ${isAddon(addon) ? `protocol ${addon.protocol}` : 'no protocol'}, not ${ADDON_PROTOCOL}.`,
    fix: `Install the same version of both: npm install ${PLATFORM_PACKAGE}@${version}. In a clone: npm run build:native`,
    facts: { file },
  });
}

async function namedFile(named: string): Promise<string> {
  if (path.isAbsolute(named) && (await exists(named))) return named;
  throw new RosettaVmError('E_USAGE', {
    what: `${ADDON_VARIABLE} does not name an addon.`,
    why: `${named} is ${path.isAbsolute(named) ? 'not there' : 'no absolute path'}.`,
    fix: `Set ${ADDON_VARIABLE} to the absolute path of a vz.node, or leave it out.`,
    facts: { file: named },
  });
}

function loadFile(file: string): unknown {
  try {
    return createRequire(import.meta.url)(file);
  } catch (error) {
    throw new RosettaVmError('E_HOST_MISSING', {
      what: 'The addon for Virtualization.framework cannot be loaded.',
      why: error instanceof Error ? error.message : String(error),
      fix: `Install it again: npm install ${PLATFORM_PACKAGE}@${version}. In a clone: npm run build:native`,
      facts: { file },
      cause: error,
    });
  }
}

function isAddon(value: unknown): value is VzAddon {
  return typeof value === 'object' && value !== null && 'protocol' in value && typeof value.protocol === 'number';
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}
