/** Small programs for a node that loads the addon: they print one line and never leave a machine behind. */
import path from 'node:path';
import type { VzConfiguration, VzVerb } from '../../../drivers/vz/addon.ts';
import type { Command, Context } from '../claim.ts';

const GIB = 2 ** 30;

/** Something the framework accepts without starting it; any file does for a kernel until then. */
export function minimal(context: Context, over: Partial<VzConfiguration> = {}): VzConfiguration {
  return {
    label: 'mac-check',
    CPUCount: 1,
    memorySize: GIB,
    machineIdentifier: '',
    bootLoader: { kernelURL: context.cli[1] ?? '', initialRamdiskURL: null, commandLine: 'console=hvc0' },
    disks: [],
    shares: [],
    rosetta: null,
    network: { MACAddress: '52:54:00:00:00:02' },
    serialLog: path.join(context.folder, 'serial.log'),
    graphics: null,
    macKeyboard: false,
    ...over,
  };
}

const MAKE = `
const addon = require(process.argv[1]);
try {
  const { handle } = addon.createMachine(process.argv[2]);
  addon.closeMachine(handle);
  console.log('made');
} catch (error) {
  console.log(error.failure ?? JSON.stringify({ thrown: String(error) }));
}`;

/** Makes a machine of it and lets go; prints `made`, or the failure as JSON. */
export function makeMachine(context: Context, node: string, configuration: VzConfiguration): Command {
  return { argv: [node, '-e', MAKE, context.addon ?? '', JSON.stringify(configuration)] };
}

const REPORT = `console.log(require(process.argv[1]).hostReport());`;

/** Prints the addon's report on this Mac. */
export function hostReport(context: Context, node: string): Command {
  return { argv: [node, '-e', REPORT, context.addon ?? ''] };
}

const IN_WORKER = `
const { parentPort, workerData } = require('node:worker_threads');
const addon = require(workerData.addon);
addon.createMachine(workerData.configuration);
addon.watchWake();
parentPort.postMessage('up');
setInterval(() => {}, 1000);`;

const WORKER = `
const { Worker } = require('node:worker_threads');
const [, addon, configuration] = process.argv;
const worker = new Worker(${JSON.stringify(IN_WORKER)}, { eval: true, workerData: { addon, configuration } });
worker.once('error', (error) => { console.log(String(error)); process.exitCode = 1; });
worker.once('message', async () => { await worker.terminate(); console.log('ended'); });`;

/** Ends a Worker that has loaded the addon, made a machine and watches for wakes; prints `ended`. */
export function endWorker(context: Context, node: string): Command {
  return { argv: [node, '-e', WORKER, context.addon ?? '', JSON.stringify(minimal(context))] };
}

/** What one machine is asked, in order. */
export type Requests = readonly (readonly [verb: VzVerb, argument?: string | number])[];

const VERB_LIMIT_MS = 20_000;

const DRIVE = `
const { readdirSync, existsSync } = require('node:fs');
const { Socket } = require('node:net');
const path = require('node:path');
const [, addonFile, text, images, machines] = process.argv;
const addon = require(addonFile);
const kernels = readdirSync(images).map((name) => path.join(images, name, 'vmlinuz')).filter(existsSync);
const configuration = JSON.parse(text);
configuration.machineIdentifier = addon.newMachineIdentifier();
configuration.bootLoader.kernelURL = kernels[0];
const say = (value) => console.log(JSON.stringify(value));

async function drive(requests) {
  const { handle, events } = addon.createMachine(JSON.stringify(configuration));
  const socket = new Socket({ fd: events, readable: true, writable: false });
  const answered = new Map();
  let rest = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    const lines = (rest + chunk).split('\\n');
    rest = lines.pop();
    for (const line of lines) {
      console.log(line);
      answered.get(JSON.parse(line).id)?.();
    }
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (const [index, [verb, argument = null]] of requests.entries()) {
    say({ asked: verb });
    await new Promise((resolve) => {
      const alarm = setTimeout(() => { say({ silent: verb }); resolve(); }, ${VERB_LIMIT_MS});
      answered.set(index + 1, () => { clearTimeout(alarm); resolve(); });
      addon.request(handle, index + 1, verb, argument);
    });
  }
  addon.closeMachine(handle);
  await closed;
}

(async () => {
  for (const requests of JSON.parse(machines)) await drive(requests);
  say({ done: true });
  process.exit(0);
})().catch((error) => { say({ thrown: error.failure ?? String(error) }); process.exit(1); });`;

/**
 * Starts machines of one configuration and identity, one after the other, with the kernel of an image that the check
 * built (without a root it panics, and the machine runs on), and prints what they answer and tell, a line each.
 */
export function driveMachines(
  context: Context,
  machines: readonly Requests[],
  over: Partial<VzConfiguration> = {},
): Command {
  const images = path.join(context.folder, 'images');
  const configuration = JSON.stringify(minimal(context, over));
  return {
    argv: [context.signedNode ?? '', '-e', DRIVE, context.addon ?? '', configuration, images, JSON.stringify(machines)],
    limitMs: (machines.flat().length + 1) * VERB_LIMIT_MS,
  };
}
