/**
 * Calls in orders that nobody would write, against a stand-in of the native addon: everything settles, states follow one
 * another as they may, and nothing is left behind. The stand-in is no proof of what the framework does.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StopReason, VirtualMachine, VirtualMachineState } from '../../../../host/drivers/driver.ts';
import type { VzVerb } from '../../../../host/drivers/vz/addon.ts';
import { vzDriver } from '../../../../host/drivers/vz/driver.ts';
import type { VzLimits } from '../../../../host/drivers/vz/limits.ts';
import { RosettaVmError } from '../../../../host/errors.ts';
import type { MachinePlan } from '../../../../host/plan/plan.ts';
import { StandInVzAddon } from '../../../stand-in/vz-addon.ts';
import type { StandInMachine } from '../../../stand-in/vz-machine.ts';
import { PlanFolder } from './plans.ts';

const LIMITS: VzLimits = {
  start: 60,
  pause: 30,
  resume: 30,
  requestStop: 30,
  stop: 30,
  connect: 30,
  save: 60,
  restore: 60,
  lastWord: 10,
};
/** Nothing here waits for a limit. */
const PATIENT: VzLimits = {
  ...LIMITS,
  start: 5_000,
  pause: 5_000,
  resume: 5_000,
  stop: 5_000,
  connect: 5_000,
  save: 5_000,
};
const ECHO_PORT = 1024;
const SILENT_PORT = 4711;

const folder = new PlanFolder();
let plan: MachinePlan;
let file: string;
beforeAll(async () => {
  plan = await folder.plan();
  file = path.join(path.dirname(plan.serialLog), 'state');
});
afterAll(() => folder.remove());

/** A machine on a stand-in of its own, with what it tells. */
async function subject(limits: VzLimits) {
  const addon = new StandInVzAddon();
  addon.world.listens.add(ECHO_PORT);
  const machine = await vzDriver({ loadAddon: async () => addon, limits }).create(plan);
  const states: VirtualMachineState[] = ['stopped'];
  const reasons: StopReason[] = [];
  machine.on('state', (state) => states.push(state));
  machine.on('stopped', (reason) => reasons.push(reason));
  return { addon, machine, states, reasons };
}

/** What may follow a state. */
const NEXT: Readonly<Record<VirtualMachineState, readonly VirtualMachineState[]>> = {
  stopped: ['starting'],
  error: ['starting'],
  starting: ['running', 'paused', 'stopped', 'error'],
  running: ['pausing', 'paused', 'stopping', 'stopped', 'error'],
  pausing: ['paused', 'running', 'stopping', 'stopped', 'error'],
  paused: ['resuming', 'running', 'stopping', 'stopped', 'error'],
  resuming: ['running', 'paused', 'stopping', 'stopped', 'error'],
  stopping: ['stopped'],
};

type Action = (machine: VirtualMachine, addon: StandInVzAddon) => unknown;

const ACTIONS: Readonly<Record<string, Action>> = {
  start: (machine) => machine.start(),
  pause: (machine) => machine.pause(),
  resume: (machine) => machine.resume(),
  requestStop: (machine) => machine.requestStop(),
  stop: (machine) => machine.stop(),
  connect: async (machine) => void (await machine.connect(ECHO_PORT)),
  connectAndLeave: async (machine) => void (await machine.connect(ECHO_PORT)).destroy(),
  connectSilent: (machine) => machine.connect(SILENT_PORT),
  save: (machine) => machine.save(file),
  restore: (machine) => machine.restore(file),
  guestStops: (_, addon) => onEach(addon, (machine) => machine.guestStops()),
  crash: (_, addon) => onEach(addon, (machine) => machine.crash()),
  silence: (_, addon) => onEach(addon, (machine) => machine.stopSilently()),
  breakChannel: (_, addon) => onEach(addon, (machine) => machine.breakChannel()),
  garbage: (_, addon) => onEach(addon, (machine) => machine.write('}\n')),
  pass: () => new Promise<void>((resolve) => setImmediate(resolve)),
};

function onEach(addon: StandInVzAddon, act: (machine: StandInMachine) => void): void {
  for (const machine of addon.machines) act(machine);
}

const VERBS: readonly VzVerb[] = ['start', 'pause', 'resume', 'requestStop', 'stop', 'connect', 'save', 'restore'];

const step = fc.record({
  // A start first and often: without it nothing else happens.
  action: fc.oneof(fc.constant('start'), fc.constantFrom(...Object.keys(ACTIONS))),
  wait: fc.boolean(),
});

test('whatever is called in whatever order, everything settles and nothing is left', async () => {
  const hangs = fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.subarray([...VERBS], { maxLength: 2 }));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), hangs, async (steps, hangs) => {
      const { addon, machine, states, reasons } = await subject(LIMITS);
      for (const verb of hangs) addon.world.hangs.add(verb);
      const failures: unknown[] = [];
      const calls: Promise<unknown>[] = [];
      for (const { action, wait } of steps) {
        const call = Promise.resolve(ACTIONS[action]?.(machine, addon)).catch((error: unknown) => failures.push(error));
        calls.push(call);
        if (wait) await call;
      }
      await machine.stop();
      await Promise.all(calls);
      // A start may have come behind the last stop that somebody waited for.
      await machine.stop();

      expect(failures.filter((error) => !(error instanceof RosettaVmError))).toEqual([]);
      expect(failures.map((error) => (error as RosettaVmError).code)).not.toContain('E_INTERNAL');
      expect(['stopped', 'error']).toContain(machine.state);
      expect(addon.machines).toEqual([]);
      for (const [index, state] of states.slice(1).entries()) {
        expect(NEXT[states[index] ?? 'error'], states.join(' ')).toContain(state);
      }
      const lives = states.filter((state, index) => isUp(state) && states[index - 1] === 'starting').length;
      expect(reasons).toHaveLength(lives);
      addon.remove();
    }),
    { numRuns: 150 },
  );
  const left = await readdir(path.dirname(plan.serialLog));
  expect(left.filter((name) => name.endsWith('.tmp'))).toEqual([]);
}, 60_000);

const isUp = (state: VirtualMachineState): boolean => state === 'running' || state === 'paused';

/** What the machine's state has to be after the calls so far, one after the other. */
interface Model {
  state: 'stopped' | 'running' | 'paused' | 'error';
  saved: boolean;
}
interface Real {
  readonly machine: VirtualMachine;
  readonly addon: StandInVzAddon;
}

/** A call that works from some states and is refused with `E_STATE` from the others. */
class Call implements fc.AsyncCommand<Model, Real> {
  readonly #name: string;
  readonly #from: readonly Model['state'][];
  readonly #act: (real: Real) => Promise<unknown>;
  readonly #after: (model: Model) => void;

  constructor(
    name: string,
    from: readonly Model['state'][],
    act: (real: Real) => Promise<unknown>,
    after: (model: Model) => void,
  ) {
    this.#name = name;
    this.#from = from;
    this.#act = act;
    this.#after = after;
  }

  check({ saved }: Readonly<Model>): boolean {
    return this.#name !== 'restore' || saved;
  }

  async run(model: Model, real: Real): Promise<void> {
    if (this.#from.includes(model.state)) {
      await this.#act(real);
      this.#after(model);
    } else {
      await expect(this.#act(real)).rejects.toMatchObject({ code: 'E_STATE', facts: { state: model.state } });
    }
    expect(real.machine.state).toBe(model.state);
  }

  toString(): string {
    return this.#name;
  }
}

const ended = (real: Real): Promise<unknown> => new Promise((resolve) => real.machine.on('stopped', resolve));
const to = (state: Model['state']) => (model: Model) => {
  model.state = state;
};
const ANY = ['stopped', 'running', 'paused', 'error'] as const;

const COMMANDS = [
  new Call('start', ['stopped', 'error'], ({ machine }) => machine.start(), to('running')),
  new Call('pause', ['running'], ({ machine }) => machine.pause(), to('paused')),
  new Call('resume', ['paused'], ({ machine }) => machine.resume(), to('running')),
  new Call(
    'connect',
    ['running'],
    ({ machine }) => machine.connect(ECHO_PORT),
    () => {},
  ),
  new Call(
    'save',
    ['paused'],
    ({ machine }) => machine.save(file),
    (model) => {
      model.saved = true;
    },
  ),
  new Call('restore', ['stopped', 'error'], ({ machine }) => machine.restore(file), to('paused')),
  new Call(
    'requestStop',
    ['running'],
    async (real) => {
      const stopped = ended(real);
      await real.machine.requestStop();
      await stopped;
    },
    to('stopped'),
  ),
  // From `error` it leaves what is there.
  new Call(
    'stop',
    ANY,
    ({ machine }) => machine.stop(),
    (model) => {
      if (model.state !== 'error') model.state = 'stopped';
    },
  ),
];

test('calls one after the other do what the state table says, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.commands(
        COMMANDS.map((command) => fc.constant(command)),
        { maxCommands: 30 },
      ),
      async (commands) => {
        const real = await subject(PATIENT);
        await fc.asyncModelRun(() => ({ model: { state: 'stopped', saved: false } as Model, real }), commands);
        await real.machine.stop();
        expect(real.addon.machines).toEqual([]);
        real.addon.remove();
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
