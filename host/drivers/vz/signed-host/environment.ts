/** What the signed copy of node inherits of the user's environment. */

/**
 * All but what changes node itself or its libraries: `NODE_OPTIONS` of the user would reach a process that runs for
 * days (and may name files that the copy cannot find), and `DYLD_*` would load foreign code into it.
 */
export function hostEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('DYLD_')),
  );
}
