/** Types of guest-compiler.mjs, which is plain JavaScript because it runs before there are any dependencies. */
export type GuestProgram = 'router' | 'runc';
export type Compiler = readonly [string, ...string[]];
export const GUEST_PROGRAMS: readonly GuestProgram[];
export const COMPILER_FIX: string;
export function findCompiler(): Compiler | undefined;
export function compileGuestProgram(
  root: string,
  name: GuestProgram,
  compiler: Compiler,
  output: string,
): Promise<void>;
export function sourcesDigest(root: string): Promise<string>;
