/** `rosetta-vm logs`: the agent's log, Docker's, or the console of the last boot. */
import { Command, Option } from 'commander';
import type { LogLine } from '../../../guest/protocol.ts';
import type { AgentClient } from '../../channel/agent-client.ts';
import { RosettaVmError } from '../../errors.ts';
import type { Machines } from '../../machine/machines.ts';
import type { CommandContext } from '../context.ts';
import { versioned } from '../context.ts';
import { optionalMachineArgument } from '../options.ts';
import type { Style } from '../style.ts';
import { printable } from '../table.ts';

interface LogsFlags {
  readonly follow?: boolean;
  readonly boot?: boolean;
  readonly engine?: boolean;
}

const EXAMPLES = `
Examples:
  rosetta-vm logs --follow            what the agent does, as it happens
  rosetta-vm logs --engine            what Docker and containerd say
  rosetta-vm logs ci --boot           the last boot's console, running or not
  rosetta-vm logs --json | jq -r '.[] | select(.level == "error") | .message'`;

export function logsCommand(context: CommandContext): Command {
  return new Command('logs')
    .summary('show what happened in a machine')
    .description('Shows the log of the machine’s agent, of its Docker, or its console.')
    .addArgument(optionalMachineArgument())
    .option('-f, --follow', 'keep printing until Ctrl-C or until the machine stops')
    .addOption(new Option('--engine', 'Docker’s log').conflicts('boot'))
    .option('--boot', 'the console of the last boot: kernel and init')
    .option('--json', 'print an array of objects; with --follow one object a line')
    .addHelpText('after', EXAMPLES)
    .action((name: string, flags: LogsFlags) => logs(context, name, flags));
}

async function logs(context: CommandContext, name: string, { follow = false, boot, engine }: LogsFlags): Promise<void> {
  const machines = await context.machines();
  await machines.status(name);
  // Asked for only when following: then Ctrl-C is the ordinary end, not an error.
  const signal = follow ? context.interrupts() : undefined;
  try {
    if (boot) return await textLog(context, 'console', machines.bootLog(name, { follow, signal }), follow);
    const agent = await runningAgent(machines, name);
    if (engine) await textLog(context, 'engine', agent.engineLog({ follow, signal }), follow);
    else await agentLog(context, agent.logs({ follow, signal }), follow);
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}

async function runningAgent(machines: Machines, name: string): Promise<AgentClient> {
  try {
    return await machines.agent(name);
  } catch (error) {
    if (!(error instanceof RosettaVmError && error.code === 'E_STATE')) throw error;
    throw new RosettaVmError('E_STATE', {
      what: error.what,
      why: 'This log is inside the machine and read through its agent.',
      fix: `See the console of the last boot with \`rosetta-vm logs ${name} --boot\`, or start the machine.`,
      facts: error.facts,
      cause: error,
    });
  }
}

async function agentLog(context: CommandContext, lines: AsyncIterable<LogLine>, follow: boolean): Promise<void> {
  if (context.json) return await printObjects(context, lines, follow);
  for await (const line of lines) await context.write(renderLogLine(line, context.style));
}

async function textLog(
  context: CommandContext,
  part: string,
  chunks: AsyncIterable<Uint8Array>,
  follow: boolean,
): Promise<void> {
  if (context.json) return await printObjects(context, textLines(part, chunks), follow);
  for await (const chunk of chunks) await context.write(chunk);
}

/** An array when the log is finite, else one object a line: an array that never ends cannot be parsed. */
async function printObjects(context: CommandContext, rows: AsyncIterable<object>, follow: boolean): Promise<void> {
  let first = true;
  for await (const row of rows) {
    const text = JSON.stringify(versioned(row));
    await context.write(follow ? `${text}\n` : `${first ? '[' : ','}\n  ${text}`);
    first = false;
  }
  if (!follow) context.print(first ? '[]\n' : '\n]\n');
}

/** One line of the log: time (UTC), level, part, message, fields. */
export function renderLogLine({ timeMs, level, part, message, fields = {} }: LogLine, style: Style): string {
  const paint = { debug: style.dim, info: (text: string) => text, warn: style.yellow, error: style.red }[level];
  const extra = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  const time = new Date(timeMs).toISOString();
  return `${style.dim(time)} ${paint(level.padEnd(5))} ${printable(part)}: ${printable(message)}${style.dim(printable(extra.join('')))}\n`;
}

/** A program that never ends its line must not fill the memory. */
const MAX_LINE_CHARACTERS = 16 * 1024;

async function* textLines(
  part: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncIterable<{ part: string; message: string }> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield { part, message: line.replace(/\r$/, '') };
    if (rest.length > MAX_LINE_CHARACTERS) {
      yield { part, message: rest };
      rest = '';
    }
  }
  if (rest !== '') yield { part, message: rest };
}
