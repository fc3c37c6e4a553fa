/** Docker's socket on the host: each connection leads through the agent to Docker's socket in the guest. */
import { Duplex } from 'node:stream';
import { ENGINE_SOCKET } from '../../guest/protocol.ts';
import type { AgentClient } from '../channel/agent-client.ts';
import { proxyUnixSocket, type UnixProxy } from '../channel/unix-proxy.ts';
import { asRosettaVmError } from '../errors.ts';

/** Listens at `path` (mode 0600). Throws `E_ADDRESS_IN_USE` or `E_PATH_TOO_LONG`. */
export function forwardDocker(machine: string, path: string, agent: Pick<AgentClient, 'forward'>): Promise<UnixProxy> {
  return proxyUnixSocket({
    path,
    connect: () =>
      agent.forward({ path: ENGINE_SOCKET }).catch((error: unknown) => {
        const { why } = asRosettaVmError(error);
        return new Refusal(
          `Docker in the machine ${machine} does not answer (${why}). ` +
            `\`rosetta-vm status ${machine}\` says how it is, \`rosetta-vm logs ${machine} --engine\` what it said.`,
        );
      }),
  });
}

/**
 * Stands for a Docker that is not there: it answers a request with Docker's form of an error, which the docker command
 * line prints; a connection that only ended would be "EOF" to its user. It answers no sooner than it is asked, because Go's HTTP client
 * drops what comes unasked.
 */
class Refusal extends Duplex {
  readonly #message: string;
  #answered = false;

  constructor(message: string) {
    super();
    this.#message = message;
  }

  override _read(): void {}

  override _write(_request: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
    if (this.#answered) return;
    this.#answered = true;
    const body = JSON.stringify({ message: this.#message });
    const headers = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`;
    this.push(`HTTP/1.1 503 Service Unavailable\r\n${headers}\r\n\r\n${body}`);
    this.push(null);
  }

  override _final(done: () => void): void {
    if (!this.#answered) this.push(null);
    done();
  }
}
