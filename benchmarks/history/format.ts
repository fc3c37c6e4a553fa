/**
 * The lines of a history: JSON, one a line, only ever appended, so that git merges two branches' lines by keeping both
 * (`merge=union` in .gitattributes, gitattributes(5)). Their order in the file means nothing; the same line twice is one.
 */
import { z } from 'zod';
import { EXACT_COUNTS } from '../compare/comparable.ts';
import { armSchema, choiceSchema, fingerprintSchema, measurementSchema, sessionSchema } from '../session.ts';

/**
 * Rises when a line changes its meaning. Lines of a later format are counted and left alone. 2: a result says how many its
 * session has, and what the session was for; keys that are not known are passed over, so that one can come in without a new
 * format. Lines of format 1 are read, strictly.
 */
export const HISTORY_FORMAT = 2;
const FIRST_FORMAT = 1;

/** A line with 10,000 values has about 100 KiB; what is longer was not written by this program. */
export const MAX_LINE_BYTES = 256 * 1024;

const digest = z.string().regex(/^[0-9a-f]{16}$/);
const { suite, benchmark, unit, smallerIsBetter, values, product, disk } = measurementSchema.shape;
const { id, date, clockJumpMs, version, commit, tier, state, reason } = sessionSchema.shape;

/** A kind of machine, once a file; results name it by its digest. */
const fingerprintFields = {
  line: z.literal('fingerprint'),
  digest,
  fingerprint: fingerprintSchema,
};

const range = z.strictObject({ least: z.number().nonnegative(), greatest: z.number().nonnegative() });

/** One benchmark in one arm of one session. */
const resultFields = {
  line: z.literal('result'),
  ...{ session: id, date, clockJumpMs, version, commit, tier, state },
  reason,
  fingerprint: digest,
  ...{ suite, benchmark, arm: armSchema, unit, smallerIsBetter },
  /** Samples that failed or made something wrong. */
  failed: z.int().nonnegative(),
  /** For people and for other tools; what is computed here is computed from the values. Null when there are none. */
  median: z.nullable(z.number().nonnegative()),
  mad: z.nullable(z.number().nonnegative()),
  /** Rounded to six digits: no clock knows more. */
  values,
  /** Least and greatest of the samples, of the counts that can be free of noise. */
  counts: z.partialRecord(z.enum(EXACT_COUNTS), range),
  product,
  /** Goes before the fingerprint's. */
  disk,
};

/** Since format 2. */
const laterResultFields = {
  /** Results that the session has: with fewer of them in the file an append was cut off, and it is partial. */
  lines: z.int().positive(),
  purpose: choiceSchema.shape.purpose,
};

const place = z.string().min(1).max(200).optional();

export const ackReasonSchema = z.string().trim().min(1).max(2_000);

/** Somebody has looked at a change and knows its reason; absent suite, benchmark or arm: all of them. */
const ackFields = {
  line: z.literal('ack'),
  date,
  ...{ suite: place, benchmark: place },
  /** Its name, as `armName` makes it. */
  arm: place,
  /** The first session after the change. */
  session: id,
  reason: ackReasonSchema,
};

const firstFormat = { format: z.literal(FIRST_FORMAT) };
const format = { format: z.literal(HISTORY_FORMAT) };
const lineOfFirstFormat = z.discriminatedUnion('line', [
  z.strictObject({ ...firstFormat, ...fingerprintFields }),
  z.strictObject({ ...firstFormat, ...resultFields }),
  z.strictObject({ ...firstFormat, ...ackFields }),
]);
const lineSchema = z.discriminatedUnion('line', [
  z.object({ ...format, ...fingerprintFields }),
  z.object({ ...format, ...resultFields, ...laterResultFields }),
  z.object({ ...format, ...ackFields }),
]);

type Fields<T extends z.ZodRawShape> = Readonly<z.infer<z.ZodObject<T>>> & {
  readonly format: typeof FIRST_FORMAT | typeof HISTORY_FORMAT;
};
export type FingerprintLine = Fields<typeof fingerprintFields>;
export type ResultLine = Fields<typeof resultFields> &
  Partial<Readonly<z.infer<z.ZodObject<typeof laterResultFields>>>>;
export type AckLine = Fields<typeof ackFields>;
export type HistoryLine = FingerprintLine | ResultLine | AckLine;

export type ParsedLine =
  | { readonly ok: true; readonly line: HistoryLine }
  | { readonly ok: false; readonly why: string };

const headSchema = z.object({ format: z.int().positive() });

/** Never throws: a line that cannot be understood says why. */
export function parseLine(text: string): ParsedLine {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return { ok: false, why: unreadable(text) };
  }
  const head = headSchema.safeParse(data);
  if (head.success && head.data.format > HISTORY_FORMAT) {
    return {
      ok: false,
      why: `It has format ${head.data.format}, of a later rosetta-vm; this one reads ${FIRST_FORMAT} and ${HISTORY_FORMAT}.`,
    };
  }
  const result = (head.data?.format === FIRST_FORMAT ? lineOfFirstFormat : lineSchema).safeParse(data);
  if (result.success) return { ok: true, line: result.data };
  const [issue] = result.error.issues;
  return {
    ok: false,
    why: `It is no line of a history: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim(),
  };
}

function unreadable(text: string): string {
  if (/^(<{7}|={7}|>{7}|\|{7})/.test(text))
    return 'It is a marker of a merge conflict: git needs merge=union for this file.';
  return 'It is no JSON; a write that was cut short leaves such a line.';
}

export const printLine = (line: HistoryLine): string => `${JSON.stringify(line)}\n`;
