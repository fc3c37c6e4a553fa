/** What is asked of Docker without its command line (Docker Engine API). */
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { ENGINE_SOCKET } from '../../guest/protocol.ts';
import type { AgentClient } from '../channel/agent-client.ts';
import { parseJson, protocolError } from '../channel/answers.ts';

/** About a kilobyte a container. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** `ContainerList`, of which only the ports count. The guest is not trusted: a container could have replaced Docker. */
const containers = z.array(
  z.object({
    Ports: z.array(z.object({ PublicPort: z.int().min(1).max(65_535).optional(), Type: z.string() })).nullish(),
  }),
);

/** A port that a running container publishes. */
export interface Publication {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

export type Asking = Pick<AgentClient, 'forward'>;

/** What running containers publish, each once (SCTP is left out). Throws what the agent's forward throws, or `E_PROTOCOL`. */
export async function publishedPorts(agent: Asking, signal: AbortSignal): Promise<Publication[]> {
  const answer = await get(agent, '/containers/json', signal);
  let text = '';
  for await (const piece of answer) {
    text += String(piece);
    if (text.length > MAX_ANSWER_BYTES) throw protocolError('Docker’s list of containers has no end.');
  }
  const parsed = containers.safeParse(parseJson(text));
  if (!parsed.success) throw protocolError('Docker’s list of containers does not have the documented form.');
  const found = new Map<string, Publication>();
  for (const { PublicPort: port, Type: protocol } of parsed.data.flatMap(({ Ports: ports }) => ports ?? [])) {
    if (port === undefined || (protocol !== 'tcp' && protocol !== 'udp')) continue;
    found.set(`${port}/${protocol}`, { protocol, port });
  }
  return [...found.values()];
}

/** Docker's events of containers that start or end, as they come: what is in them need not be looked at. */
export function containerEvents(agent: Asking, signal: AbortSignal): Promise<IncomingMessage> {
  const filters = { type: ['container'], event: ['start', 'die', 'pause', 'unpause'] };
  return get(agent, `/events?filters=${encodeURIComponent(JSON.stringify(filters))}`, signal);
}

/** `SystemPing`: the least that Docker can be asked. */
export async function pingEngine(agent: Asking, signal: AbortSignal): Promise<void> {
  const answer = await get(agent, '/_ping', signal);
  for await (const _ of answer);
}

const get = (agent: Asking, path: string, signal: AbortSignal): Promise<IncomingMessage> =>
  askEngine(agent, { path }, signal);

export interface EngineRequest {
  /** Default: GET. */
  readonly method?: 'POST' | 'PUT' | 'DELETE';
  /** With its query. */
  readonly path: string;
  /** Media type of the body. */
  readonly type?: string;
  /** Sent in chunks, as it comes. */
  readonly body?: AsyncIterable<Buffer> | Iterable<Buffer>;
  /** Statuses that are no failure either. */
  readonly accepts?: readonly number[];
}

/**
 * Asks Docker one thing, over a connection of its own. Resolves to the answer, whose body is to be read or destroyed. Throws
 * what the agent's forward throws, and `E_PROTOCOL` when Docker refuses.
 */
export async function askEngine(
  agent: Asking,
  { method, path, type, body, accepts = [] }: EngineRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const stream = await agent.forward({ path: ENGINE_SOCKET }, { signal });
  return await new Promise((resolve, reject) => {
    const headers = { Host: 'docker', ...(type === undefined ? {} : { 'Content-Type': type }) };
    const options = { method: method ?? 'GET', path, signal, headers, createConnection: () => stream };
    const asked = request(options, (answer) => {
      const { statusCode: status = 0 } = answer;
      if ((status >= 200 && status < 300) || accepts.includes(status)) return resolve(answer);
      answer.destroy();
      reject(protocolError(`Docker answered ${path} with status ${status}.`));
    });
    asked.once('error', reject);
    // A refusal may come before the whole body was sent, and says more than the broken pipe does.
    if (body === undefined) asked.end();
    else pipeline(Readable.from(body), asked).catch(reject);
  });
}
