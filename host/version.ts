/** Put in by the bundler from package.json (host/dev/build.mjs); absent when the sources run as they are. */
declare const ROSETTA_VM_VERSION: string | undefined;

/** Version of rosetta-vm, host and guest alike. */
export const version: string = typeof ROSETTA_VM_VERSION === 'string' ? ROSETTA_VM_VERSION : '0.0.0-source';
