/** How an error travels: a status for the protocol, {@link AgentErrorBody} for the host. */
import { asRosettaVmError, type ErrorCode, RosettaVmError } from '../../host/errors.ts';
import type { AgentErrorBody } from '../protocol.ts';

const STATUS: Partial<Record<ErrorCode, number>> = {
  E_INVALID: 400,
  E_PROTOCOL: 400,
  E_NOT_FOUND: 404,
  E_EXISTS: 409,
  E_STATE: 409,
  E_SIZE: 413,
  E_HOST_UNSUPPORTED: 501,
  E_TIMEOUT: 504,
  E_DISK_FULL: 507,
};

export interface HttpError {
  readonly status: number;
  readonly body: AgentErrorBody;
}

/** Words anything thrown for the wire. */
export function httpError(thrown: unknown): HttpError {
  const { code, what, why, fix } = asRosettaVmError(thrown);
  return { status: STATUS[code] ?? 500, body: { error: { code, what, why, fix } } };
}

/** The answer to everything without the boot's token: it tells nothing about the request. */
export const UNAUTHORIZED: HttpError = {
  status: 401,
  body: {
    error: {
      code: 'E_STATE',
      what: 'The agent did not accept the request.',
      why: 'It does not carry the token of this boot.',
      fix: 'Use `rosetta-vm`, which knows the token; after a reboot, run the command again.',
    },
  },
};

/** A request whose shape is wrong; `expected` completes "It must …". */
export function invalidRequest(field: string, expected: string): RosettaVmError {
  return new RosettaVmError('E_INVALID', {
    what: `The request's ${field} is not valid.`,
    why: `It must ${expected}.`,
    fix: 'Correct the request; guest/protocol.ts describes it.',
    facts: { field },
  });
}
