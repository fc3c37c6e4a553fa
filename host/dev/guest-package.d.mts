/** Types of guest-package.mjs, which is plain JavaScript because it runs before there are any dependencies. */
export const GUEST_PACKAGE: string;
export function packGuest(root: string): Promise<number>;
export function installedPrograms(root: string): Promise<ReadonlyMap<string, Buffer> | undefined>;
export function installCommand(version: string): string;
