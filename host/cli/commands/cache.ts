/** `rosetta-vm cache`: the translation cache of a running machine. */
import { Command, Option } from 'commander';
import type { CachePruneResult, CacheStats } from '../../../guest/translation-protocol.ts';
import type { AgentClient } from '../../channel/agent-client.ts';
import { RosettaVmError } from '../../errors.ts';
import { formatSize, parseDuration } from '../../spec/units.ts';
import type { CommandContext } from '../context.ts';
import { count, formatAge } from '../format.ts';
import { jsonOption, optionalMachineArgument, sizeOption } from '../options.ts';
import { describeCache } from '../status-text.ts';
import type { Style } from '../style.ts';
import { renderFields, renderTable } from '../table.ts';
import { denyCommand } from './cache-deny.ts';

const PRUNE_EXAMPLES = `
Corrupt entries always go. A program whose entry is gone is translated again
when it runs next.

Examples:
  rosetta-vm cache prune                      down to the machine's limit
  rosetta-vm cache prune --keep 512MiB        keep the newest 512 MiB
  rosetta-vm cache prune --older-than 30d     drop what is older than 30 days`;

export function cacheCommand(context: CommandContext): Command {
  return new Command('cache')
    .summary('look at, check and empty the translation cache')
    .description('The translation cache of a running machine.')
    .addCommand(statsCommand(context))
    .addCommand(verifyCommand(context))
    .addCommand(pruneCommand(context))
    .addCommand(denyCommand(context))
    .addCommand(switchCommand(context, 'on'))
    .addCommand(switchCommand(context, 'off'));
}

function statsCommand(context: CommandContext): Command {
  return new Command('stats')
    .summary('show entries, bytes and programs')
    .description('Shows how full the cache is, and with which programs, the largest first.')
    .addArgument(optionalMachineArgument())
    .addOption(jsonOption())
    .action(async (name: string) => {
      const stats = await (await agent(context, name)).cacheStats();
      if (context.json) return context.printJson([stats]);
      context.print(renderStats(stats, Date.now(), context.style));
    });
}

/** More rows are for `--json`. */
const MAX_ROWS = 20;

/** Fields, then a table of programs, with ages as of `nowMs`. */
export function renderStats(stats: CacheStats, nowMs: number, style: Style): string {
  const { programs, directory, build, oldestMs, newestMs } = stats;
  const fields: [string, string][] = [
    ['cache', describeCache(stats, stats)],
    ['folder', directory],
    ['translator', `build ${build.slice(0, 16)}`],
  ];
  if (oldestMs !== undefined && newestMs !== undefined) {
    fields.push(['age', `newest ${formatAge(newestMs, nowMs)}, oldest ${formatAge(oldestMs, nowMs)}`]);
  }
  const rows = programs
    .slice(0, MAX_ROWS)
    .map((program) => [
      program.name,
      String(program.entries),
      formatSize(program.bytes),
      formatAge(program.newestMs, nowMs),
    ]);
  const table = renderTable(
    [
      { title: 'PROGRAM' },
      { title: 'ENTRIES', align: 'right' },
      { title: 'SIZE', align: 'right' },
      { title: 'NEWEST', align: 'right' },
    ],
    rows,
  );
  const more = programs.length > MAX_ROWS ? style.dim(`… and ${programs.length - MAX_ROWS} more (see --json)\n`) : '';
  return renderFields(fields, style.dim) + (rows.length === 0 ? '' : `\n${table}${more}`);
}

function verifyCommand(context: CommandContext): Command {
  return new Command('verify')
    .summary('check every entry')
    .description('Checks every entry of the cache. The exit status is 1 when one is corrupt.')
    .addArgument(optionalMachineArgument())
    .addOption(jsonOption())
    .action(async (name: string) => {
      const result = await (await agent(context, name)).cacheVerify();
      const { checked, corrupt } = result;
      if (context.json) {
        context.printJson([result]);
      } else if (corrupt.length === 0) {
        context.print(`${count(checked, 'entry', 'entries')} checked, none is corrupt\n`);
      } else {
        context.print(
          renderTable(
            [{ title: 'CORRUPT' }, { title: 'WHY' }],
            corrupt.map(({ entry, reason }) => [entry, reason]),
          ),
        );
      }
      if (corrupt.length > 0) throw corruptEntries(name, checked, corrupt.length);
    });
}

function corruptEntries(name: string, checked: number, corrupt: number): RosettaVmError {
  return new RosettaVmError('E_CORRUPT', {
    what: `${corrupt} of ${count(checked, 'entry', 'entries')} in the cache of ${name} cannot be used.`,
    why: 'Such an entry was cut short or changed after it was written; programs run without it, more slowly.',
    fix: `\`rosetta-vm cache prune ${name}\` removes what is corrupt.`,
    facts: { machine: name, checked, corrupt },
  });
}

interface PruneFlags {
  readonly keep?: number;
  readonly olderThan?: number;
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

function pruneCommand(context: CommandContext): Command {
  return new Command('prune')
    .summary('remove corrupt, old and surplus entries')
    .description('Removes corrupt entries, and the oldest ones over a size or an age.')
    .addArgument(optionalMachineArgument())
    .addOption(sizeOption('--keep <size>', 'keep at most this much, the newest (default: the machine’s limit)'))
    .addOption(
      new Option('--older-than <duration>', 'remove what is older, such as 12h or 30d').argParser((text) =>
        parseDuration(text, '--older-than'),
      ),
    )
    .addOption(new Option('--all', 'remove everything').conflicts(['keep', 'olderThan']))
    .option('--dry-run', 'only say what would be removed')
    .addOption(jsonOption())
    .addHelpText('after', PRUNE_EXAMPLES)
    .action(async (name: string, { keep, olderThan, all, dryRun }: PruneFlags) => {
      const result = await (await agent(context, name)).cachePrune({
        ...(keep === undefined ? {} : { keepBytes: keep }),
        ...(olderThan === undefined ? {} : { olderThanSeconds: olderThan }),
        ...(all === undefined ? {} : { all }),
        ...(dryRun === undefined ? {} : { dryRun }),
      });
      if (context.json) return context.printJson([result]);
      context.print(renderPruned(result));
    });
}

/** One line: what went and what is left. */
export function renderPruned(result: CachePruneResult): string {
  const { removedEntries, removedBytes, removedCorrupt, remainingEntries, remainingBytes, dryRun } = result;
  const corrupt = removedCorrupt === 0 ? '' : `, ${removedCorrupt} of them corrupt`;
  const removed = `${count(removedEntries, 'entry', 'entries')} (${formatSize(removedBytes)}${corrupt})`;
  const left = `${count(remainingEntries, 'entry', 'entries')} (${formatSize(remainingBytes)})`;
  return dryRun ? `would remove ${removed}, leaving ${left}\n` : `removed ${removed}, ${left} left\n`;
}

function switchCommand(context: CommandContext, position: 'on' | 'off'): Command {
  return new Command(position)
    .summary(position === 'on' ? 'use the cache again' : 'run without the cache, until it is switched on')
    .description(
      position === 'on'
        ? 'Uses the cache again, for programs that start from now on.'
        : 'Runs programs without the cache, from now until it is switched on or the machine starts anew. Nothing is removed.',
    )
    .addArgument(optionalMachineArgument())
    .addOption(jsonOption())
    .action(async (name: string) => {
      const status = await (await agent(context, name)).cacheSwitch({ enabled: position === 'on' });
      if (context.json) return context.printJson([status]);
      context.print(`cache ${describeCache(status)}\n`);
    });
}

async function agent(context: CommandContext, name: string): Promise<AgentClient> {
  return await (await context.machines()).agent(name);
}
