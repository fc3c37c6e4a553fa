/** What virtual machines of every driver have in common: a state, who is told of it, and what may be asked in which. */
import { EventEmitter } from 'node:events';
import { RosettaVmError } from '../errors.ts';
import type { VirtualMachineEvents, VirtualMachineState } from './driver.ts';

export abstract class ObservedMachine {
  readonly #name: string;
  readonly #events = new EventEmitter();
  #state: VirtualMachineState = 'stopped';

  /** `name` is the machine's, for errors. */
  constructor(name: string) {
    this.#name = name;
  }

  get state(): VirtualMachineState {
    return this.#state;
  }

  on<K extends keyof VirtualMachineEvents>(event: K, listener: (...args: VirtualMachineEvents[K]) => void): this {
    this.#events.on(event, listener as (...args: unknown[]) => void);
    return this;
  }

  off<K extends keyof VirtualMachineEvents>(event: K, listener: (...args: VirtualMachineEvents[K]) => void): this {
    this.#events.off(event, listener as (...args: unknown[]) => void);
    return this;
  }

  protected enter(state: VirtualMachineState): void {
    this.#state = state;
    this.emit('state', state);
  }

  protected emit<K extends keyof VirtualMachineEvents>(event: K, ...args: VirtualMachineEvents[K]): void {
    this.#events.emit(event, ...args);
  }

  /** Throws `E_STATE` unless the machine is in one of these states. */
  protected require(verb: string, ...allowed: readonly VirtualMachineState[]): void {
    if (allowed.includes(this.#state)) return;
    throw this.wrongState(verb, `It is ${this.#state}; it would have to be ${allowed.join(' or ')}.`, allowed);
  }

  protected wrongState(verb: string, why: string, allowed: readonly VirtualMachineState[]): RosettaVmError {
    return new RosettaVmError('E_STATE', {
      what: `Cannot ${verb} the machine ${this.#name}.`,
      why,
      fix: 'Wait until it has reached that state, or bring it there first.',
      facts: { machine: this.#name, state: this.#state, allowed },
    });
  }

  protected stoppedWhileStarting(): RosettaVmError {
    return new RosettaVmError('E_ABORTED', {
      what: `The machine ${this.#name} was stopped while it was starting.`,
      why: 'Its stop was asked for.',
      fix: 'Start it again.',
    });
  }

  /** `done` says what with it; `devices` are those that stand in the way. */
  protected notSaveable(done: string, why: string, devices: readonly string[]): RosettaVmError {
    return new RosettaVmError('E_HOST_UNSUPPORTED', {
      what: `The machine ${this.#name} cannot be ${done}.`,
      why,
      fix: 'Stop the machine and start it again: its disks keep everything.',
      facts: { devices },
    });
  }
}
