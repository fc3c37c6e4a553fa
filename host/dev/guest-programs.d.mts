/** Types of guest-programs.mjs, which is plain JavaScript because it runs before there are any dependencies. */
export function buildGuestPrograms(root: string, install?: (packages: string[]) => Promise<void>): Promise<void>;
export function compileGuestProgram(
  root: string,
  name: 'router' | 'runc',
  compiler: readonly [string, ...string[]],
  output: string,
): Promise<void>;
