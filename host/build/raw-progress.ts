/**
 * What buildx says with `--progress=rawjson`, read from its stderr: BuildKit's SolveStatus messages (moby/buildkit,
 * client/graph.go), checked, and the plain text that buildx puts around them. buildx 0.13 indents each message over
 * several lines, later versions write one a line; both are read.
 */
import { z } from 'zod';
import { LineSplitter } from '../channel/lines.ts';

/** A line of JSON: a log piece is at most 1 MiB (BuildKit's limit a step), and base64 adds a third. */
const MAX_LINE_BYTES = 2 * 1024 * 1024;
/** A message: statuses of a few hundred layers and one log piece. More is not BuildKit's. */
const MAX_MESSAGE_CHARACTERS = 16 * 1024 * 1024;

const digest = z.string().max(128);
const name = z.string().max(64 * 1024);
/** RFC 3339 with nanoseconds; milliseconds are enough, and the guest's clock is the one that counts here. */
const time = z
  .string()
  .max(64)
  .transform((text) => Date.parse(text))
  .pipe(z.number().finite());
const amount = z.number().nonnegative().catch(0);

const message = z.object({
  vertexes: z
    .array(
      z.object({
        digest,
        name,
        started: time.optional(),
        completed: time.optional(),
        cached: z.boolean().default(false),
        error: name.default(''),
      }),
    )
    .default([]),
  statuses: z
    .array(
      z.object({
        id: name,
        vertex: digest,
        current: amount.default(0),
        total: amount.default(0),
        completed: time.optional(),
      }),
    )
    .default([]),
  logs: z
    .array(z.object({ vertex: digest, data: z.base64().transform((text) => Buffer.from(text, 'base64')) }))
    .default([]),
  warnings: z.array(z.object({ vertex: digest.default(''), short: z.base64().transform(decodeText) })).default([]),
});

/** One message of BuildKit. Times are Unix ms of the guest's clock. */
export type BuildMessage = z.infer<typeof message>;

export type RawProgress =
  | { readonly kind: 'message'; readonly message: BuildMessage }
  /** A line that is none: the excerpt of the Dockerfile at an error, `ERROR: …`, a notice of buildx. */
  | { readonly kind: 'text'; readonly line: string };

export class RawProgressParser {
  readonly #lines = new LineSplitter(MAX_LINE_BYTES, 'The build in the guest');
  #open: string[] = [];
  #openLength = 0;

  /** Takes a piece of the stream. Throws `E_PROTOCOL` when a line or message is too long. */
  push(piece: Buffer): RawProgress[] {
    return this.#lines.push(piece).flatMap((line) => this.#take(line));
  }

  /** What was not ended with a newline. */
  end(): RawProgress[] {
    const last = this.#lines.rest.toString('utf8');
    return [...(last === '' ? [] : this.#take(last)), ...this.#giveUp()];
  }

  #take(line: string): RawProgress[] {
    if (this.#open.length === 0 && !line.startsWith('{')) return [{ kind: 'text', line }];
    // The indentation tells where a message ends: only its own brace stands in the first column.
    const begins = line.startsWith('{');
    const given = begins ? this.#giveUp() : [];
    this.#open.push(line);
    this.#openLength += line.length;
    if (!line.startsWith('}') && !(begins && line.length > 1)) {
      return this.#openLength > MAX_MESSAGE_CHARACTERS ? [...given, ...this.#giveUp()] : given;
    }
    const read = readMessage(this.#open.join('\n'));
    if (read === null) return [...given, ...this.#giveUp()];
    this.#reset();
    return [...given, { kind: 'message', message: read }];
  }

  /** Lines that make no message are text. */
  #giveUp(): RawProgress[] {
    const lines = this.#open;
    this.#reset();
    return lines.map((line) => ({ kind: 'text', line }));
  }

  #reset(): void {
    this.#open = [];
    this.#openLength = 0;
  }
}

function readMessage(json: string): BuildMessage | null {
  try {
    const result = message.safeParse(JSON.parse(json));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

function decodeText(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
