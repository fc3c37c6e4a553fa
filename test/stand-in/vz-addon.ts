/**
 * A STAND-IN of the native addon, for tests on hosts that are no Mac. It runs no virtual machine: it keeps the rules
 * that Apple documents for Virtualization.framework, as far as a driver can run into them: which call is legal in which
 * state, with which error number it fails otherwise, that calls on a machine's queue are answered in their order, that
 * a machine starts once, that `stop` is not told to the delegate, that a connection to a silent port is never answered.
 *
 * What it cannot show: that the framework keeps these rules, that the addon does, that texts of errors are these, how
 * long anything takes, what a guest sees, and every limit of a real Mac. Only a Mac shows that.
 *
 * Sources: VZVirtualMachine.h, VZVirtualMachineConfiguration.h, VZError.h, VZNetworkBlockDeviceStorageDeviceAttachment.h
 * (macOS 15 SDK), and for what they do not say the projects named at each rule.
 */
import { randomBytes } from 'node:crypto';
import {
  ADDON_FAILURES,
  ADDON_PROTOCOL,
  type VzAddon,
  type VzFailure,
  type VzHostReport,
  type VzVerb,
} from '../../host/drivers/vz/addon.ts';
import { Fifos } from './descriptors.ts';
import { readConfiguration } from './vz-configuration-fields.ts';
import { checkConfiguration } from './vz-configuration-rules.ts';
import { addonFailure, thrown, vzFailure } from './vz-failures.ts';
import { StandInMachine } from './vz-machine.ts';
import { macReport } from './vz-reports.ts';

export interface StandInOptions {
  readonly report?: VzHostReport;
  /** Machines that may run at once; VZErrorVirtualMachineLimitExceeded beyond. */
  readonly machineLimit?: number;
  /** Descriptors of connected sockets that connections get, in this order; without them they get echoes. */
  readonly sockets?: readonly number[];
}

/** What the guest and the world around it do; tests change it at will. */
export interface StandInWorld {
  /** vsock ports on which something listens in the guest; the stream echoes. */
  readonly listens: Set<number>;
  /** vsock ports that refuse with ECONNRESET, as containerization sees it. */
  readonly refuses: Set<number>;
  /** Whether a guest that is asked to power off does so. */
  obeysPowerButton: boolean;
  /** Verbs that are never answered. */
  readonly hangs: Set<VzVerb>;
  /** Addresses of network block devices whose server is not there. */
  readonly unreachable: Set<string>;
  /** A device that cannot be saved, in the framework's words; null where all can. */
  unsaveable: string | null;
  /** Whether the disk takes a saved state. */
  diskFull: boolean;
  /** Answers to a verb that are not the framework's usual ones. */
  readonly failures: Map<VzVerb, VzFailure>;
}

export class StandInVzAddon implements VzAddon {
  readonly protocol = ADDON_PROTOCOL;
  readonly report: VzHostReport;
  readonly world: StandInWorld = {
    listens: new Set(),
    refuses: new Set(),
    obeysPowerButton: true,
    hangs: new Set(),
    unreachable: new Set(),
    unsaveable: null,
    diskFull: false,
    failures: new Map(),
  };
  readonly #fifos = new Fifos();
  readonly #sockets: number[];
  readonly #machineLimit: number;
  readonly #machines = new Map<number, StandInMachine>();
  #lastHandle = 0;

  constructor({ report = macReport(), machineLimit = 2, sockets = [] }: StandInOptions = {}) {
    this.report = report;
    this.#machineLimit = machineLimit;
    this.#sockets = [...sockets];
  }

  hostReport(): string {
    return JSON.stringify(this.report);
  }

  newMachineIdentifier(): string {
    return randomBytes(16).toString('base64');
  }

  createMachine(text: string): { handle: number; events: number } {
    const configuration = readConfiguration(text);
    if ('domain' in configuration) throw thrown(configuration);
    const failure = checkConfiguration(configuration, this.report);
    if (failure !== null) throw thrown(failure);
    this.#lastHandle += 1;
    const { reader, writer } = this.#fifos.pair();
    const machine = new StandInMachine(configuration, this.world, {
      writer,
      openStream: () => this.#sockets.shift() ?? this.#fifos.echo(),
      mayStart: () => [...this.#machines.values()].filter(({ occupies }) => occupies).length < this.#machineLimit,
      limitFailure: vzFailure(6, 'The maximum supported number of active virtual machines has been reached.'),
    });
    this.#machines.set(this.#lastHandle, machine);
    return { handle: this.#lastHandle, events: reader };
  }

  request(handle: number, id: number, verb: VzVerb, argument: string | number | null): void {
    const machine = this.#machines.get(handle);
    if (machine === undefined) throw thrown(addonFailure(ADDON_FAILURES.absent, 'No such machine.'));
    machine.request(id, verb, argument);
  }

  closeMachine(handle: number): void {
    this.#machines.get(handle)?.close();
    this.#machines.delete(handle);
  }

  installRosetta(): { events: number } {
    const { reader, writer } = this.#fifos.pair();
    StandInMachine.answerOnce(writer, { id: 0, ok: true, value: null });
    return { events: reader };
  }

  watchWake(): { events: number } {
    throw thrown(addonFailure(ADDON_FAILURES.absent, 'The stand-in does not sleep.'));
  }

  /** Machines that were made and not yet let go of. */
  get machines(): readonly StandInMachine[] {
    return [...this.#machines.values()];
  }

  /** The one machine there is. */
  get machine(): StandInMachine {
    const [machine, ...others] = this.machines;
    if (machine === undefined || others.length > 0) throw new Error(`There are ${this.#machines.size} machines.`);
    return machine;
  }

  /** Removes what the stand-in keeps on the disk; closes what a test left open. */
  remove(): void {
    for (const handle of this.#machines.keys()) this.closeMachine(handle);
    this.#fifos.remove();
  }
}
