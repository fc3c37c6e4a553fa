/** `rosetta-vm list` */
import { Command } from 'commander';
import type { MachineState, MachineStatus } from '../../machine/machine.ts';
import { formatSize } from '../../spec/units.ts';
import type { CommandContext } from '../context.ts';
import { formatAge } from '../format.ts';
import { jsonOption } from '../options.ts';
import { shortCache, shortTranslator } from '../status-text.ts';
import type { Style } from '../style.ts';
import { renderTable } from '../table.ts';

export function listCommand(context: CommandContext): Command {
  return new Command('list')
    .alias('ls')
    .summary('list all machines')
    .description('Lists all machines, also data disks that were kept. DISK is what is really occupied.')
    .addOption(jsonOption())
    .action(async () => {
      const machines = await (await context.machines()).list();
      if (context.json) return context.printJson(machines);
      if (machines.length === 0) return context.hint('There are no machines. `rosetta-vm up` makes one.');
      context.print(renderList(machines, Date.now(), context.style));
    });
}

/** The table, with ages as of `nowMs`. */
export function renderList(machines: readonly MachineStatus[], nowMs: number, style: Style): string {
  return renderTable(
    [
      { title: 'NAME', paint: style.bold },
      { title: 'STATE', paint: (cell) => paintState(cell, style) },
      { title: 'TRANSLATOR' },
      { title: 'CACHE' },
      { title: 'CPUS', align: 'right' },
      { title: 'MEMORY', align: 'right' },
      { title: 'DISK', align: 'right' },
      { title: 'AGE', align: 'right' },
    ],
    machines.map((machine) => [
      machine.name,
      machine.state,
      shortTranslator(machine),
      shortCache(machine),
      machine.spec === null ? '-' : String(machine.spec.cpus ?? 'auto'),
      memoryCell(machine),
      formatSize(machine.diskBytes),
      machine.createdAt === null ? '-' : formatAge(machine.createdAt, nowMs),
    ]),
  );
}

/** Colours a state's name by what it asks of the user. */
export function paintState(state: string, style: Style): string {
  const colours: Partial<Record<MachineState, (text: string) => string>> = {
    running: style.green,
    starting: style.yellow,
    stopping: style.yellow,
    unresponsive: style.red,
    damaged: style.red,
  };
  return colours[state as MachineState]?.(state) ?? state;
}

function memoryCell({ health, spec }: MachineStatus): string {
  if (health !== null) return formatSize(health.memory.totalBytes);
  if (spec === null) return '-';
  return spec.memory === undefined ? 'auto' : formatSize(spec.memory);
}
