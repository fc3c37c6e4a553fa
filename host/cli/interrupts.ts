/** Ctrl-C and its kin, as one abort signal. */
import { setMaxListeners } from 'node:events';
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class Interrupts {
  readonly #controller = new AbortController();
  readonly #tell: (text: string) => void;
  #status: number | null = null;

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
    for (const name of SIGNALS) process.on(name, this.#receive);
    // Every download and child process listens; none is forgotten, so Node's warning at eleven would be false.
    setMaxListeners(Number.POSITIVE_INFINITY, this.#controller.signal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** 128 + the number of the first signal, as shells count; null when there was none. */
  get status(): number | null {
    return this.#status;
  }

  release(): void {
    for (const name of SIGNALS) process.off(name, this.#receive);
  }

  readonly #receive = (name: NodeJS.Signals): void => {
    const status = 128 + constants.signals[name];
    if (this.#status !== null) process.exit(status);
    this.#status = status;
    if (name === 'SIGINT') this.#tell('\nStopping … (Ctrl-C again ends at once)\n');
    this.#controller.abort();
  };
}
