/** Puts the parts of a machine's life together into {@link Machines}. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentClient, agentClient, waitForAgent } from '../channel/agent-client.ts';
import { connectUnix } from '../channel/connect-unix.ts';
import type { Driver } from '../drivers/driver.ts';
import { hostDriver } from '../drivers/index.ts';
import { RosettaVmError } from '../errors.ts';
import { runtimeDirectory, type StatePaths, statePaths } from '../paths.ts';
import { runtimePlan } from '../plan/make-plan.ts';
import { checkMachineName } from '../spec/spec.ts';
import { readBootLog } from './boot-log.ts';
import { writeAgent } from './boot-share.ts';
import { connectControl } from './control.ts';
import { bringDown, deleteMachine, describeDeletion } from './end.ts';
import { inspectMachine } from './inspect.ts';
import type { MachineStatus } from './machine.ts';
import type { Machines } from './machines.ts';
import { machineFolder, machineNames } from './record.ts';
import { bringUp, dryRun, withRefusals } from './up.ts';

export interface OpenOptions {
  /** Default: from the environment (host/paths.ts). */
  readonly paths?: StatePaths;
  /** Default: this host's. */
  readonly driver?: () => Promise<Driver>;
}

const CONTROL_TIMEOUT_MS = 5_000;
/** The agent leaves its answer this much time to go out, and more (guest/agent/agent.ts). */
const RESTART_GRACE_MS = 500;
const RESTART_TIMEOUT_MS = 60_000;

/** Nothing is read, written or started before a method is called. */
export function openMachines(options: OpenOptions = {}): Machines {
  const paths = options.paths ?? statePaths();
  const driver = options.driver ?? (() => hostDriver(paths));
  const folderOf = (name: string) => machineFolder(paths, checkMachineName(name));

  async function list(): Promise<MachineStatus[]> {
    const found = await Promise.allSettled((await machineNames(paths)).map((name) => inspectMachine(paths, name)));
    return found.flatMap((one) => {
      if (one.status === 'fulfilled') return [one.value];
      // Deleted meanwhile, or a folder that an interrupted `up` left empty.
      if (one.reason instanceof RosettaVmError && one.reason.code === 'E_NOT_FOUND') return [];
      throw one.reason;
    });
  }

  async function agent(name: string): Promise<AgentClient> {
    const { control: socketPath } = runtimePlan(runtimeDirectory(paths, name));
    const control = await connectControl(socketPath, CONTROL_TIMEOUT_MS);
    if (control === null) {
      const { state } = await inspectMachine(paths, name);
      throw notRunning(name, state);
    }
    try {
      const { socket, token } = await control.call('agent', {}, CONTROL_TIMEOUT_MS);
      return agentClient({ connect: () => connectUnix(socket), token });
    } finally {
      control.close();
    }
  }

  return {
    loadSpec: async (specOptions) => {
      // With it comes a parser of YAML, which most commands do without.
      const { loadSpec } = await import('../spec/load.ts');
      return await withRefusals(await driver(), () => loadSpec(specOptions));
    },
    list,
    status: (name) => inspectMachine(paths, checkMachineName(name)),
    up: async (name, spec, upOptions = {}) => {
      await bringUp(paths, await driver(), name, spec, upOptions);
      return await inspectMachine(paths, name);
    },
    dryRun: async (name, spec) => dryRun(paths, await driver(), name, spec),
    down: (name, downOptions) => bringDown(paths, checkMachineName(name), downOptions),
    deletion: (name, { keepData }) => describeDeletion(paths, checkMachineName(name), keepData),
    delete: (name, { keepData }) => deleteMachine(paths, checkMachineName(name), keepData),
    agent: (name) => agent(checkMachineName(name)),
    refreshAgent: async (name) => {
      const client = await agent(checkMachineName(name));
      const { boot, serialLog } = folderOf(name);
      await writeAgent(boot);
      await client.restart();
      // The old agent answers once more before it goes.
      await sleep(RESTART_GRACE_MS);
      await waitForAgent(client, { timeoutMs: RESTART_TIMEOUT_MS, serialLog });
    },
    bootLog: (name, logOptions) => readBootLog(folderOf(name), logOptions),
  };
}

const notRunning = (name: string, state: string): RosettaVmError =>
  new RosettaVmError('E_STATE', {
    what: `The machine ${name} is not running.`,
    why: `It is ${state}.`,
    fix: `Start it with \`rosetta-vm up ${name}\`.`,
    facts: { name, state },
  });
