/** `rosetta-vm cache deny`: programs that are kept from the cache or from a translator. */
import { Command, Option } from 'commander';
import type { DenyFrom, DenyKey, DenyList } from '../../../guest/translation-protocol.ts';
import { deny } from '../../build/deny.ts';
import { RosettaVmError } from '../../errors.ts';
import type { CommandContext } from '../context.ts';
import { formatAge } from '../format.ts';
import { jsonOption, optionalMachineArgument } from '../options.ts';
import { renderTable } from '../table.ts';

const FROM: readonly DenyFrom[] = ['cache', 'box64', 'qemu', 'rosetta'];

const EXAMPLES = `
The list is on the data disk and counts from the next start of a program on.
A program is named by its path in its own root (in a container, the
container's), by its build-id (\`file PROGRAM\` prints it), or by both.

Examples:
  rosetta-vm cache deny add --program /usr/bin/ld
  rosetta-vm cache deny add --program /usr/bin/java --from box64
  rosetta-vm cache deny remove --program /usr/bin/ld`;

interface KeyFlags {
  readonly program?: string;
  readonly buildId?: string;
}

export function denyCommand(context: CommandContext): Command {
  return new Command('deny')
    .summary('keep single programs from the cache or from a translator')
    .description('The list of programs that are kept from the cache, or from one of the translators.')
    .addHelpText('after', EXAMPLES)
    .addCommand(listCommand(context))
    .addCommand(addCommand(context))
    .addCommand(removeCommand(context));
}

function listCommand(context: CommandContext): Command {
  return new Command('list')
    .summary('show the list')
    .description('Shows which programs are kept from what, and why.')
    .addArgument(optionalMachineArgument())
    .addOption(jsonOption())
    .action(async (name: string) => {
      show(context, await (await (await context.machines()).agent(name)).denyList());
    });
}

function addCommand(context: CommandContext): Command {
  return withKey(new Command('add').summary('add a program'))
    .description('Keeps a program from the cache, or with --from from a translator: then the next one runs it.')
    .addOption(new Option('--from <what>', 'what it is kept from').choices(FROM).default('cache'))
    .option('--reason <text>', 'shown in the list', 'added by hand')
    .addOption(jsonOption())
    .action(async (name: string, flags: KeyFlags & { readonly from: DenyFrom; readonly reason: string }) => {
      const key = keyOf(flags);
      const agent = await (await context.machines()).agent(name);
      const { list, counts, effect } = await deny(agent, { ...key, from: flags.from, reason: flags.reason });
      show(context, list);
      if (!counts) context.tell(`${effect}\n`);
    });
}

function removeCommand(context: CommandContext): Command {
  return withKey(new Command('remove').summary('remove a program'))
    .description('Removes a program from the list, whatever it is kept from.')
    .addOption(new Option('--from <what>', 'only the row that keeps it from this').choices(FROM))
    .addOption(jsonOption())
    .action(async (name: string, flags: KeyFlags & { readonly from?: DenyFrom }) => {
      const key = keyOf(flags);
      const agent = await (await context.machines()).agent(name);
      show(context, await agent.denyRemove({ ...key, ...(flags.from === undefined ? {} : { from: flags.from }) }));
    });
}

function withKey(command: Command): Command {
  return command
    .addArgument(optionalMachineArgument())
    .option('--program <path>', 'absolute path of the program in its root')
    .option('--build-id <digits>', 'build-id of the program, hexadecimal');
}

/** Throws `E_USAGE` when the flags name no program. */
function keyOf({ program, buildId }: KeyFlags): DenyKey {
  if (program === undefined && buildId === undefined) {
    throw new RosettaVmError('E_USAGE', {
      what: 'No program is named.',
      why: 'Neither --program nor --build-id was given.',
      fix: 'Name one, such as --program /usr/bin/ld.',
      facts: { flags: ['--program', '--build-id'] },
    });
  }
  return {
    ...(program === undefined ? {} : { program }),
    ...(buildId === undefined ? {} : { buildId: buildId.toLowerCase() }),
  };
}

function show(context: CommandContext, list: DenyList): void {
  if (context.json) context.printJson(list.rows);
  else context.print(renderDenyList(list, Date.now()));
}

/** A table, with ages as of `nowMs`. */
export function renderDenyList({ rows }: DenyList, nowMs: number): string {
  if (rows.length === 0) return 'no program is kept from anything\n';
  return renderTable(
    [
      { title: 'PROGRAM' },
      { title: 'BUILD-ID' },
      { title: 'KEPT FROM' },
      { title: 'AGE', align: 'right' },
      { title: 'WHY' },
    ],
    rows.map(({ program = '-', buildId = '-', from, addedMs, reason }) => [
      program,
      buildId.slice(0, 12),
      from,
      formatAge(addedMs, nowMs),
      reason,
    ]),
  );
}
