/** Types of guest-programs.mjs, which is plain JavaScript because it runs before there are any dependencies. */
export function buildGuestPrograms(root: string, install?: (packages: string[]) => Promise<void>): Promise<void>;
