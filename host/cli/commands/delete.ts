/** `rosetta-vm delete` */
import { Command } from 'commander';
import type { DeletionItem } from '../../machine/machine.ts';
import { formatSize } from '../../spec/units.ts';
import { confirm } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { machineArgument, yesOption } from '../options.ts';
import { renderTable } from '../table.ts';

const EXAMPLES = `
Examples:
  rosetta-vm delete ci --yes          for scripts: they cannot be asked
  rosetta-vm delete ci --keep-data    the next \`up ci\` takes that disk up`;

export function deleteCommand(context: CommandContext): Command {
  return new Command('delete')
    .alias('rm')
    .summary('remove a stopped machine')
    .description('Removes a stopped machine with its disks, after showing what is lost.')
    .addArgument(machineArgument())
    .option('--keep-data', 'keep the data disk (translation cache, containers)')
    .addOption(yesOption())
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, { keepData = false, yes = false }: { keepData?: boolean; yes?: boolean }) => {
      const machines = await context.machines();
      const items = await machines.deletion(name, { keepData });
      context.tell(renderDeletion(items));
      if (!yes) {
        const sure = await confirm({
          text: `Delete the machine ${name}?`,
          action: `delete the machine ${name}`,
          flag: '--yes',
        });
        if (!sure) {
          context.tell('Nothing was deleted.\n');
          context.exitStatus = 1;
          return;
        }
      }
      await machines.delete(name, { keepData });
      context.print(`${context.style.bold(name)} is deleted\n`);
    });
}

/** What goes and what stays, with sizes. */
export function renderDeletion(items: readonly DeletionItem[]): string {
  return renderTable(
    [{ title: '' }, { title: 'WHAT' }, { title: 'SIZE', align: 'right' }, { title: 'WHERE' }],
    items.map(({ what, path, bytes, kept }) => [
      kept ? 'keep' : 'lose',
      what,
      bytes === null ? '-' : formatSize(bytes),
      path,
    ]),
  );
}
