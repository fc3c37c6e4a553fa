/** Machines that are driven through the addon, without rosetta-vm's own driver between them and the report. */
import path from 'node:path';
import { z } from 'zod';
import type { VzConfiguration, VzVerb } from '../../../drivers/vz/addon.ts';
import type { Command, Context, Result } from '../claim.ts';
import { minimal } from './addon-scripts.ts';
import { NBD_SERVER } from './nbd-script.ts';

/**
 * What one machine is asked, in order; each step has a time limit.
 * - a verb of the addon: until it is answered.
 * - `told`: until what the machine has told, from its beginning on, has a regular expression in it, or has it `times`.
 * - `console`: the same of what the guest has printed.
 * - `echo`: connects to a vsock port that gives back what it is told, tries the descriptor, releases the framework's
 *   connection, and tries the descriptor again; says what came of it.
 */
export type Step =
  | readonly [verb: VzVerb, argument?: string | number]
  | readonly ['told' | 'console', pattern: string, times?: number]
  | readonly ['echo', port: number];

interface Drive {
  readonly machines: readonly (readonly Step[])[];
  /** Over a configuration of a kernel and no disks. */
  readonly configuration?: Partial<VzConfiguration>;
  /** Arguments of the kernel after its console's. */
  readonly commandLine?: string;
  /** The image's system disk comes first, read-only. */
  readonly systemDisk?: boolean;
  /** All machines live until the end, each with an identity of its own; after a refusal no more are made. */
  readonly together?: boolean;
  /** A network block device's server for as long as this lasts; in an NBD address, port 0 becomes the one it got. */
  readonly nbd?: { readonly listen: string | number; readonly bytes: number; readonly cuts: number };
}

const STEP_LIMIT_MS = 20_000;
const POLL_MS = 100;
/** How long a descriptor has to give back a word. */
const ECHO_LIMIT_MS = 5_000;

const DRIVE = `
const { existsSync, fstatSync, readdirSync, readFileSync } = require('node:fs');
const { Socket } = require('node:net');
const path = require('node:path');
const [, addonFile, text, images] = process.argv;
const addon = require(addonFile);
const { configuration, machines, systemDisk, together, nbd } = JSON.parse(text);
const image = readdirSync(images).map((name) => path.join(images, name)).find((one) => existsSync(path.join(one, 'vmlinuz')));
configuration.bootLoader.kernelURL = path.join(image, 'vmlinuz');
if (systemDisk) {
  const attachment = { kind: 'file', path: path.join(image, 'system.raw') };
  configuration.disks.unshift({ bus: 'nvme', readOnly: true, attachment });
}
configuration.machineIdentifier = addon.newMachineIdentifier();
const say = (value) => console.log(JSON.stringify(value));
const printed = () => (existsSync(configuration.serialLog) ? readFileSync(configuration.serialLog, 'utf8') : '');

/** What libuv takes a descriptor for, and whether a word that is written to it comes back. */
function stream(fd) {
  const socket = new Socket({ fd, readable: true, writable: true });
  // No public property says it: libuv asks for the address's family, and a socket of AF_UNIX is a Pipe to it.
  const kind = fstatSync(fd).isSocket() && socket._handle?.constructor.name === 'Pipe' ? 'AF_UNIX' : 'other';
  socket.on('error', () => {});
  const echoes = (word) => new Promise((resolve) => {
    let heard = '';
    const alarm = setTimeout(() => resolve(false), ${ECHO_LIMIT_MS});
    const onEnd = () => { clearTimeout(alarm); resolve(false); };
    socket.once('close', onEnd).on('data', (chunk) => {
      heard += chunk;
      if (heard.includes(word)) { clearTimeout(alarm); socket.off('close', onEnd); resolve(true); }
    });
    socket.write(word);
  });
  return { kind, echoes, close: () => socket.destroy() };
}

function makeMachine() {
  const { handle, events } = addon.createMachine(JSON.stringify(configuration));
  const socket = new Socket({ fd: events, readable: true, writable: false });
  const lines = [];
  const waiting = new Set();
  let rest = '';
  let lastId = 0;
  socket.setEncoding('utf8').on('data', (chunk) => {
    const whole = (rest + chunk).split('\\n');
    rest = whole.pop();
    for (const line of whole) {
      console.log(line);
      lines.push(line);
    }
    for (const look of waiting) look();
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  /** What \`find\` gives, once it does; undefined after the time limit. */
  const found = (find, asked) => new Promise((resolve) => {
    const done = (value) => {
      clearTimeout(alarm);
      clearInterval(timer);
      waiting.delete(look);
      resolve(value);
    };
    const look = () => { const value = find(); if (value !== undefined) done(value); };
    const alarm = setTimeout(() => { say({ silent: asked }); done(undefined); }, ${STEP_LIMIT_MS});
    const timer = setInterval(look, ${POLL_MS});
    waiting.add(look);
    look();
  });
  const ask = (verb, argument = null) => {
    const id = ++lastId;
    addon.request(handle, id, verb, argument);
    return found(() => lines.map((line) => JSON.parse(line)).find((line) => line.id === id), verb);
  };
  const echo = async (port) => {
    const value = (await ask('connect', port))?.value;
    if (!value) return;
    const { kind, echoes, close } = stream(value.fd);
    const before = await echoes('before');
    await ask('release', value.connection);
    say({ descriptor: kind, before, after: await echoes('after') });
    close();
  };
  const step = async ([what, argument, times = 1]) => {
    say({ asked: what });
    const count = (text) => (text.match(new RegExp(argument, 'g')) ?? []).length;
    if (what === 'told') return await found(() => count(lines.join('\\n')) >= times || undefined, what);
    if (what === 'console') return await found(() => count(printed()) >= times || undefined, what);
    if (what === 'echo') return await echo(argument);
    return await ask(what, argument);
  };
  return { step, close: () => { addon.closeMachine(handle); return closed; } };
}

(async () => {
  if (nbd) {
    const { port } = (await serveNbd(nbd)).address();
    for (const { attachment } of configuration.disks) {
      if (attachment.kind === 'nbd') attachment.url = attachment.url.replace(':0/', ':' + port + '/');
    }
  }
  const alive = [];
  for (const steps of machines) {
    if (together) configuration.machineIdentifier = addon.newMachineIdentifier();
    const machine = makeMachine();
    alive.push(machine);
    let refused = false;
    for (const step of steps) {
      const answer = await machine.step(step);
      refused ||= answer?.ok === false;
    }
    if (together && refused) break;
    if (!together) await alive.pop().close();
  }
  for (const machine of alive) await machine.close();
  say({ printed: printed().split('\\n').filter((line) => /Linux version|nvme\\dn\\d|Kernel panic|reboot|init/i.test(line)).slice(-12) });
  say({ done: true });
  process.exit(0);
})().catch((error) => { say({ thrown: error.failure ?? String(error) }); process.exit(1); });`;

/**
 * Starts machines with the kernel of an image that the check built, one after the other and of one identity, and prints
 * what they answer and tell, a line each. Without a root the kernel panics, and the machine runs on.
 */
export function driveMachines(context: Context, name: string, drive: Drive): Command {
  const { machines, commandLine = '', systemDisk = false, together = false, nbd = null } = drive;
  const base = minimal(context, {
    serialLog: path.join(context.folder, `${name}.log`),
    ...drive.configuration,
  });
  const bootLoader = { ...base.bootLoader, commandLine: `${base.bootLoader.commandLine} ${commandLine}`.trim() };
  const told = JSON.stringify({ configuration: { ...base, bootLoader }, machines, systemDisk, together, nbd });
  const images = path.join(context.folder, 'images');
  return {
    argv: [context.signedNode ?? '', '-e', NBD_SERVER + DRIVE, context.addon ?? '', told, images],
    limitMs: (machines.flat().length + 2) * STEP_LIMIT_MS,
  };
}

/** A line of the driven machines: what was asked, what was answered, what was told. */
const LINE = z.looseObject({
  silent: z.string().optional(),
  done: z.boolean().optional(),
  id: z.number().optional(),
  ok: z.boolean().optional(),
  error: z.looseObject({ domain: z.string(), code: z.number() }).nullish(),
  event: z.string().optional(),
  state: z.string().optional(),
  kind: z.string().optional(),
  descriptor: z.string().optional(),
  before: z.boolean().optional(),
  after: z.boolean().optional(),
});
type Line = z.infer<typeof LINE>;

export function linesOf(result: Result | undefined): Line[] {
  return (result?.stdout ?? '').split('\n').flatMap((text) => {
    try {
      return [LINE.parse(JSON.parse(text))];
    } catch {
      return [];
    }
  });
}

/** Whether every request was answered well, every sign came, and the program reached its end. */
export const allWell = (lines: readonly Line[]): boolean =>
  lines.some(({ done }) => done === true) && lines.every(({ ok, silent }) => ok !== false && silent === undefined);
