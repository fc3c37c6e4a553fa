/**
 * A machine without a VM: a record, a held lock and a control socket, all of them the real parts, and an agent of the
 * test's choice, so that the command line meets what it meets with a VM.
 */
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { createAgentServer, type Handler, linkServer, type UpgradeHandler } from '../../../guest/agent/server.ts';
import type { Health } from '../../../guest/protocol.ts';
import type { PublishedPort } from '../../../host/docker/ports.ts';
import { serveControl } from '../../../host/machine/control-server.ts';
import { machineFolder, newIdentity, writeRecord } from '../../../host/machine/record.ts';
import { runtimeDirectory, statePaths } from '../../../host/paths.ts';
import { runtimePlan } from '../../../host/plan/make-plan.ts';
import { tryLock } from '../../../host/process/lock.ts';
import { parseSpec } from '../../../host/spec/spec.ts';
import { startTestAgent, TOKEN } from '../guest/agent-harness.ts';
import { temporaryFolder } from '../machine/temporary.ts';

/** Where an agent listens. */
export interface AgentAddress {
  readonly socket: string;
  readonly token: string;
}

/** Makes a machine of this name in `home` that runs until the test ends. */
export async function standIn(
  home: string,
  name: string,
  agent: AgentAddress,
  ports: readonly PublishedPort[] = [],
): Promise<void> {
  const paths = statePaths({ ROSETTA_VM_HOME: home });
  const folder = machineFolder(paths, name);
  const runtime = runtimePlan(runtimeDirectory(paths, name));
  await Promise.all([folder.directory, runtime.directory].map((one) => mkdir(one, { recursive: true })));
  await writeRecord(folder, {
    schemaVersion: 1,
    name,
    createdAt: Date.now() - 2 * 3_600_000,
    imageId: '0123456789abcdef',
    spec: parseSpec({ cpus: 2, memory: '2GiB', disk: '8GiB' }),
    ...newIdentity(),
  });
  const lock = await tryLock(folder.hostLock);
  const status = { phase: 'running', startedAt: Date.now() - 60_000, memoryBytes: 50 * 2 ** 20, ports } as const;
  const control = await serveControl(runtime.control, {
    status: async () => status,
    ready: async () => status,
    agent: async () => agent,
    stop: async () => ({}),
  });
  onTestFinished(async () => {
    await control.close();
    await lock?.release();
  });
}

/** The guest's own agent, on this host: programs of `exec` run here. */
export async function realAgent(): Promise<AgentAddress> {
  const agent = await startTestAgent();
  onTestFinished(() => agent[Symbol.asyncDispose]());
  return { socket: agent.settings.socket, token: TOKEN };
}

/** An agent that answers what the test says. */
export async function scriptedAgent(
  requests: Readonly<Record<string, Handler>>,
  upgrades: Readonly<Record<string, UpgradeHandler>> = {},
): Promise<AgentAddress> {
  const socket = path.join(await temporaryFolder(), 'agent.sock');
  const http = createAgentServer(TOKEN, { requests: { 'GET /v1/health': () => HEALTH, ...requests }, upgrades });
  const server = linkServer(http).listen(socket);
  await once(server, 'listening');
  onTestFinished(() => {
    http.closeAllConnections();
    server.close();
  });
  return { socket, token: TOKEN };
}

const GIB = 2 ** 30;

/** A guest that is well. */
export const HEALTH: Health = {
  protocol: 1,
  agentVersion: '1.2.3',
  machine: 'ci',
  uptimeSeconds: 90,
  kernel: '6.12.0-test',
  timeMs: Date.UTC(2026, 0, 1),
  memory: { totalBytes: 2 * GIB, availableBytes: GIB },
  dataDisk: { state: 'ready', totalBytes: 8 * GIB, freeBytes: 6 * GIB },
  translator: {
    state: 'ready',
    wanted: 'box64',
    active: {
      name: 'box64',
      version: '0.4.3',
      build: 'b'.repeat(64),
      interpreter: '/dev/rvm/router',
      program: '/dev/rvm/box64',
      flags: 'OCF',
      proved: true,
    },
    removedHandlers: [],
  },
  cache: { backend: 'dynacache', state: 'on' },
  engine: { state: 'ready', version: '26.1.5', restarts: 0 },
};
