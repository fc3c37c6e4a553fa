/**
 * Published ports: what `docker run -p 8080:80` opens in the guest is listened for on 127.0.0.1 of the host, whatever
 * address the container asked for, and only as long as the container runs. TCP and UDP.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentClient } from '../channel/agent-client.ts';
import { type Listener, listenAndJoin } from '../channel/proxy.ts';
import { containerEvents, type Publication, publishedPorts } from './api.ts';
import { listenForDatagrams } from './datagrams.ts';

/** Events come in bursts: a start is several. */
const SETTLE_MS = 50;
/** After Docker, or the agent, has ended. */
const RETRY_MS = 1_000;
const LIST_LIMIT_MS = 15_000;
/** The guest says which ports; no more of this computer's than anybody needs. */
const MAX_PORTS = 1024;

export interface PublishedPort extends Publication {
  /** Why nothing listens for it on the host, such as another program that has the port; null when all is well. */
  readonly problem: string | null;
}

export class PublishedPorts {
  readonly #agent: AgentClient;
  readonly #closed = new AbortController();
  /** By {@link nameOf}. */
  readonly #listeners = new Map<string, Publication & { readonly listener: Listener }>();
  #problems: readonly PublishedPort[] = [];
  #watching: Promise<void> = Promise.resolve();
  #syncing: Promise<void> | null = null;
  #changed = false;

  constructor(agent: AgentClient) {
    this.#agent = agent;
  }

  /** Begins to follow Docker. What is published shows in {@link list}. */
  start(): void {
    this.#watching = this.#watch();
  }

  list(): PublishedPort[] {
    const open = [...this.#listeners.values()].map(({ protocol, port }) => ({ protocol, port, problem: null }));
    return [...open, ...this.#problems].sort((a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol));
  }

  /** Listens for nothing any more. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#watching;
    await this.#syncing;
    await Promise.all([...this.#listeners.values()].map(({ listener }) => listener.close()));
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        const events = await containerEvents(this.#agent, signal);
        this.#syncSoon();
        for await (const _event of events) this.#syncSoon();
      } catch {
        // Docker or the agent is not there; both are supervised in the guest and come back. Meanwhile nothing closes:
        // containers may outlive either.
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }

  #syncSoon(): void {
    this.#changed = true;
    this.#syncing ??= this.#syncWhileChanged().finally(() => {
      this.#syncing = null;
    });
  }

  async #syncWhileChanged(): Promise<void> {
    const { signal } = this.#closed;
    while (this.#changed && !signal.aborted) {
      this.#changed = false;
      try {
        await sleep(SETTLE_MS, undefined, { signal });
        await this.#sync(
          await publishedPorts(this.#agent, AbortSignal.any([signal, AbortSignal.timeout(LIST_LIMIT_MS)])),
        );
      } catch {
        // The events end as well then, and the next ones begin with another look.
      }
    }
  }

  async #sync(wanted: readonly Publication[]): Promise<void> {
    const names = new Set(wanted.map(nameOf));
    const gone = [...this.#listeners].filter(([name]) => !names.has(name));
    await Promise.all(gone.map(([, { listener }]) => listener.close()));
    for (const [name] of gone) this.#listeners.delete(name);
    const problems: PublishedPort[] = [];
    for (const publication of wanted.slice(0, MAX_PORTS)) {
      const name = nameOf(publication);
      if (this.#listeners.has(name) || this.#closed.signal.aborted) continue;
      try {
        this.#listeners.set(name, { ...publication, listener: await this.#listen(publication) });
      } catch (error) {
        problems.push({ ...publication, problem: problemOf(error as NodeJS.ErrnoException) });
      }
    }
    this.#problems = problems;
  }

  #listen({ protocol, port }: Publication): Promise<Listener> {
    const where = { host: '127.0.0.1', port };
    return protocol === 'tcp'
      ? listenAndJoin(where, () => this.#agent.forward({ port }))
      : listenForDatagrams(where, () => this.#agent.forwardDatagrams({ port }));
  }
}

/** As Docker writes it: `53/udp`. */
const nameOf = ({ protocol, port }: Publication): string => `${port}/${protocol}`;

function problemOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'another program of this computer has it';
  if (code === 'EACCES') return 'this user may not listen there: choose a port from 1024 on';
  return message;
}
