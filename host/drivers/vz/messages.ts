/** What the addon says, checked at the border: a text that does not have the contract's shape never gets past here. */
import { z } from 'zod';
import { RosettaVmError } from '../../errors.ts';
import { VZ_STATES, type VzFailure, type VzHostReport, type VzLine } from './addon.ts';

const failureSchema: z.ZodType<VzFailure> = z.object({
  domain: z.string(),
  code: z.int(),
  message: z.string(),
  reason: z.string(),
  subject: z.string(),
});

const descriptor = z.int().min(0);

const replySchema = z.union([
  z.object({
    id: z.int().min(0),
    ok: z.literal(true),
    value: z.union([z.null(), z.object({ connection: z.int().min(0), fd: descriptor })]),
  }),
  z.object({ id: z.int().min(0), ok: z.literal(false), error: failureSchema }),
]);

const eventSchema = z.discriminatedUnion('event', [
  z.object({ event: z.literal('state'), state: z.enum(VZ_STATES) }),
  z.object({ event: z.literal('stopped'), error: failureSchema.nullable() }),
  z.object({
    event: z.literal('disk'),
    disk: z.int().min(0),
    kind: z.enum(['connected', 'error']),
    error: failureSchema.nullable(),
  }),
  z.object({ event: z.literal('network'), error: failureSchema }),
  z.object({ event: z.literal('wake') }),
]);

const EVENT_NAMES: ReadonlySet<unknown> = new Set(eventSchema.options.map((option) => option.shape.event.value));

const versionPart = z.int().min(0);
const limits = z.object({ minimum: z.number().min(0), maximum: z.number().min(0) });
const reportSchema: z.ZodType<VzHostReport> = z.object({
  macOS: z.object({ major: versionPart, minor: versionPart, patch: versionPart }),
  architecture: z.enum(['arm64', 'x86_64']),
  translated: z.boolean(),
  supported: z.boolean(),
  entitled: z.boolean(),
  cpus: limits,
  memory: limits,
  rosetta: z.object({
    availability: z.enum(['absent', 'notSupported', 'notInstalled', 'installed']),
    share: z.boolean(),
    error: failureSchema.nullable(),
    maximumSocketPathBytes: z.int().min(0),
    maximumSocketNameBytes: z.int().min(0),
  }),
});

/**
 * One line of a machine's channel. Null for an event that this version does not know: a newer addon may say more.
 * Throws `E_PROTOCOL`.
 */
export function parseLine(text: string): VzLine | null {
  const value = parseJson(text, 'a line');
  if (isRecord(value) && 'event' in value) {
    return EVENT_NAMES.has(value.event) || typeof value.event !== 'string'
      ? check(eventSchema, value, 'an event')
      : null;
  }
  return check(replySchema, value, 'a reply');
}

/** The answer of `hostReport`. Throws `E_PROTOCOL`. */
export function parseHostReport(text: string): VzHostReport {
  return check(reportSchema, parseJson(text, 'a report on this Mac'), 'a report on this Mac');
}

/** The `failure` of an error that the addon threw; null when it has none that can be read. */
export function thrownFailure(error: unknown): VzFailure | null {
  const text = error instanceof Error && 'failure' in error ? error.failure : undefined;
  if (typeof text !== 'string') return null;
  try {
    return failureSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw unreadable(
    what,
    `${(issue?.path ?? []).join('.') || 'It'}: ${issue?.message ?? 'not of the documented shape'}`,
  );
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(what, `It is not JSON: ${(error as Error).message}`);
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(what: string, why: string): RosettaVmError {
  return new RosettaVmError('E_PROTOCOL', {
    what: `The Virtualization.framework addon sent ${what} that cannot be read.`,
    why,
    fix: 'Install rosetta-vm again, so that it and its addon are of one version; if it stays, report it.',
  });
}
