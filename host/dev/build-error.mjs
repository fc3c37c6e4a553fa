// What stops a task and is no fault of its code: said to people in three parts, without a stack.
export class BuildError extends Error {
  /** What happened, why, and what to do: one sentence each. */
  constructor(what, why, fix) {
    super(`${what}\n${why}\n${fix}`);
    this.name = 'BuildError';
  }
}
