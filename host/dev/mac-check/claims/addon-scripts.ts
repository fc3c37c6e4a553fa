/** Small programs for a node that loads the addon: they print one line and never leave a machine behind. */
import path from 'node:path';
import type { VzConfiguration } from '../../../drivers/vz/addon.ts';
import type { Command, Context } from '../claim.ts';

const GIB = 2 ** 30;

/** An empty image of whole sectors, made without occupying the disk: mkfile(8). */
export const emptyDisk = (file: string, size = '1m'): Command => ({ argv: ['/usr/sbin/mkfile', '-n', size, file] });

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
