/**
 * The one error type of rosetta-vm. An error is a value: a code to branch on, three sentences for a person
 * (what happened, why, what to do), facts as fields, and the process's exit code (design: 0 ok, 1 failure, 2 usage,
 * 3 not found, 4 wrong state, 5 unsupported host, 6 timeout, 7 regression found, 125 tool failed in exec, 130 on Ctrl-C).
 *
 * This file imports nothing, so that every part of the program, `images/` included, may use it.
 */

/** Every code with its exit status. Adding a failure that a caller may branch on means adding a row here. */
const EXIT_STATUS = {
  /** A bad flag, argument or key. */
  E_USAGE: 2,
  /** A spec, plan or message that does not have the documented shape. */
  E_INVALID: 2,
  /** A size that cannot be: beyond the host's, zero, or a disk that would shrink. */
  E_SIZE: 2,
  E_NOT_FOUND: 3,
  E_IMAGE_NOT_FOUND: 3,
  E_EXISTS: 4,
  E_STATE: 4,
  /** Another process holds the machine. */
  E_LOCKED: 4,
  /** Confirmation was needed and there is no terminal to ask on. */
  E_CONFIRM: 2,
  E_HOST_UNSUPPORTED: 5,
  /** A program that the host must have is missing. */
  E_HOST_MISSING: 5,
  E_TIMEOUT: 6,
  E_ABORTED: 130,
  /** Signature or digest does not match. */
  E_VERIFY: 1,
  E_NETWORK: 1,
  E_DISK_FULL: 1,
  /** Something that rosetta-vm wrote earlier is damaged. */
  E_CORRUPT: 1,
  E_PATH_TOO_LONG: 1,
  E_ADDRESS_IN_USE: 1,
  /** QEMU, a helper daemon or the guest ended when it should not have. */
  E_VM_FAILED: 1,
  /** The agent in the guest answered with an error. */
  E_AGENT: 1,
  E_PROTOCOL: 1,
  /** A step of a Docker build failed. */
  E_BUILD: 1,
  E_EXEC: 125,
  E_INTERNAL: 1,
} as const;

export type ErrorCode = keyof typeof EXIT_STATUS;

/** Facts that belong to an error, for `--json` and for tests; plain JSON values only. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export interface ErrorParts {
  /** What happened, one sentence, in the user's words. */
  readonly what: string;
  /** Why, as far as is known. */
  readonly why: string;
  /** What the user can do about it. */
  readonly fix: string;
  readonly facts?: ErrorFacts;
  readonly cause?: unknown;
}

export class RosettaVmError extends Error {
  readonly code: ErrorCode;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, parts: ErrorParts) {
    super(`${parts.what}\n${parts.why}\n${parts.fix}`, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'RosettaVmError';
    this.code = code;
    this.what = parts.what;
    this.why = parts.why;
    this.fix = parts.fix;
    this.facts = parts.facts ?? {};
  }

  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }

  /** The form that `--json` prints and that travels over the control socket. */
  toJSON(): {
    code: ErrorCode;
    what: string;
    why: string;
    fix: string;
    facts: ErrorFacts;
  } {
    return {
      code: this.code,
      what: this.what,
      why: this.why,
      fix: this.fix,
      facts: this.facts,
    };
  }

  /** Rebuilds an error that crossed a socket; a code that this version does not know becomes `E_INTERNAL`. */
  static fromJSON(value: unknown): RosettaVmError {
    const record = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
    const text = (key: string): string => (typeof record[key] === 'string' ? (record[key] as string) : '');
    const code = text('code');
    return new RosettaVmError(code in EXIT_STATUS ? (code as ErrorCode) : 'E_INTERNAL', {
      what: text('what') || 'The operation failed.',
      why: text('why'),
      fix: text('fix'),
      facts: typeof record.facts === 'object' && record.facts !== null ? (record.facts as ErrorFacts) : {},
    });
  }
}

/** Turns anything thrown into a {@link RosettaVmError}; an `AbortError` becomes `E_ABORTED`, ENOSPC `E_DISK_FULL`. */
export function asRosettaVmError(error: unknown): RosettaVmError {
  if (error instanceof RosettaVmError) return error;
  const { name, code, message }: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error));
  if (name === 'AbortError' || code === 'ABORT_ERR') {
    return new RosettaVmError('E_ABORTED', {
      what: 'Stopped on request.',
      why: 'The operation was interrupted before it finished.',
      fix: 'Run the same command again; what was downloaded and verified is kept.',
      cause: error,
    });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new RosettaVmError('E_DISK_FULL', {
      what: 'The disk is full.',
      why: message,
      fix: 'Free some space, then run the same command again. `rosetta-vm list` shows what each machine occupies.',
      cause: error,
    });
  }
  return new RosettaVmError('E_INTERNAL', {
    what: message || 'The operation failed.',
    why: 'This was not expected: it is a fault in rosetta-vm, or in how it understands this host.',
    fix: 'Run it again; if it stays, report it with all of this output.',
    cause: error,
  });
}
