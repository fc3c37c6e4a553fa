/** `bench list` */
import { Command } from 'commander';
import type { CommandContext } from '../../../host/cli/context.ts';
import { jsonOption } from '../../../host/cli/options.ts';
import { renderTable } from '../../../host/cli/table.ts';

export function listCommand(context: CommandContext): Command {
  return new Command('list')
    .description('list every benchmark, with the smallest tier that it is part of')
    .addOption(jsonOption())
    .action(async () => {
      const { loadSuites } = await import('../../suites/load.ts');
      const rows = (await loadSuites()).flatMap(({ suite, benchmarks }) =>
        benchmarks.map(({ id, title, tier, kind }) => ({ suite, benchmark: id, tier, kind, title })),
      );
      if (context.json) return context.printJson(rows);
      const columns = [{ title: 'BENCHMARK' }, { title: 'TIER' }, { title: 'WHAT' }];
      context.print(
        renderTable(
          columns,
          rows.map(({ suite, benchmark, tier, title }) => [`${suite}/${benchmark}`, tier, title]),
        ),
      );
    });
}
