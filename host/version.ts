/** Put in by the bundler from package.json (host/dev/build.mjs). */
declare const ROSETTA_VM_VERSION: string;

/** Version of rosetta-vm, host and guest alike. */
export const version: string = ROSETTA_VM_VERSION;
