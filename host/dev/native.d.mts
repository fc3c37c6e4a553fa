/** Types of native.mjs, which is plain JavaScript because it runs before there are any dependencies. */
export function buildNative(
  nodeGyp: (words: readonly string[]) => Promise<number>,
  rest: readonly string[],
): Promise<number>;
export function packNative(root: string): Promise<number>;
export function whyNot(platform: NodeJS.Platform, architecture: string): string | null;
