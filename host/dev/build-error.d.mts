/** Types of build-error.mjs. */
export class BuildError extends Error {
  constructor(what: string, why: string, fix: string);
}
