/** HTTP GET with bounds: on silence, on size, on redirects (fetch follows at most 20). */
import { RosettaVmError } from '../../host/errors.ts';

/** How long to wait. */
export interface Pace {
  /** Without a byte for so long (ms), a connection counts as broken. */
  readonly idleMs: number;
  /** First pause before another try (ms); doubled each time. */
  readonly retryMs: number;
}

export const patientPace: Pace = { idleMs: 30_000, retryMs: 500 };

interface Request {
  readonly url: string;
  /** For messages. */
  readonly name: string;
  /** First byte wanted. */
  readonly from: number;
  readonly signal: AbortSignal | undefined;
  readonly pace: Pace;
}

export interface Body {
  /** The first byte that the server really sends: 0 when it does not resume. */
  readonly from: number;
  /** Throws `E_NETWORK` when the connection breaks. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Throws `E_NETWORK`; its fact `permanent` is true when asking the same server again is useless (404 and the like). */
export async function fetchBody({ url, name, from, signal, pace }: Request): Promise<Body> {
  const idle = new AbortController();
  const alarm = setTimeout(() => idle.abort(), pace.idleMs);
  const combined = signal === undefined ? idle.signal : AbortSignal.any([signal, idle.signal]);
  const failure = (error: unknown): unknown => {
    if (signal?.aborted === true) return error;
    return networkError(url, name, idle.signal.aborted ? `no answer for ${pace.idleMs / 1000} s` : reasonOf(error));
  };
  try {
    const response = await fetch(url, {
      signal: combined,
      // The bytes as stored: a transparent decompression would change the digest.
      headers: { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw statusError(url, name, response.status);
    }
    const resumed =
      response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`) === true;
    return { from: resumed ? from : 0, chunks: watched(response.body, alarm, failure) };
  } catch (error) {
    clearTimeout(alarm);
    throw error instanceof RosettaVmError ? error : failure(error);
  }
}

async function* watched(
  stream: AsyncIterable<Uint8Array>,
  alarm: NodeJS.Timeout,
  failure: (error: unknown) => unknown,
): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of stream) {
      alarm.refresh();
      yield chunk;
    }
  } catch (error) {
    throw failure(error);
  } finally {
    clearTimeout(alarm);
  }
}

/** The whole body as text, at most `maxBytes`. */
export async function fetchText(request: Omit<Request, 'from'>, maxBytes: number): Promise<string> {
  const { chunks } = await fetchBody({ ...request, from: 0 });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw networkError(request.url, request.name, `the answer is larger than ${maxBytes} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** undici wraps the system's error: the innermost cause says what happened. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : reasonOf(error.cause);
}

function networkError(url: string, name: string, why: string): RosettaVmError {
  return new RosettaVmError('E_NETWORK', {
    what: `${name} could not be downloaded.`,
    why: `${url}: ${why}.`,
    fix: 'Check the network connection, or choose another mirror with `--mirror URL`; then run the same command again.',
    facts: { url },
  });
}

/** 408, 425, 429 and 5xx may pass; 416 means that a part is stale, and the next try begins anew. */
function statusError(url: string, name: string, status: number): RosettaVmError {
  const permanent = status < 500 && ![408, 416, 425, 429].includes(status);
  return new RosettaVmError('E_NETWORK', {
    what: `${name} could not be downloaded.`,
    why: `${url} answered with status ${status}.`,
    fix: permanent
      ? 'The mirror may have changed since its index was read: run the same command again, or choose another with `--mirror URL`.'
      : 'The mirror is busy: run the same command again in a while, or choose another with `--mirror URL`.',
    facts: { url, status, permanent },
  });
}
