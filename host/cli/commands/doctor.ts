/** `rosetta-vm doctor`: what works on this host, and what to do about the rest. */
import { Command } from 'commander';
import type { Capability } from '../../drivers/driver.ts';
import { stage } from '../../progress.ts';
import type { CommandContext } from '../context.ts';
import { jsonOption, mirrorOption } from '../options.ts';
import { type Style, widthOf } from '../style.ts';
import { printable, wrap } from '../table.ts';

const EXAMPLES = `
The exit status is 0 when a machine can run here, also with less than
everything, and 5 when something must be mended first.`;

export function doctorCommand(context: CommandContext): Command {
  return new Command('doctor')
    .summary('check this host, and mend it with --fix')
    .description(
      'Checks whether this host can run machines, says why not, and what to do. In machines that run, it also builds a tiny x86_64 step.',
    )
    .option('--fix', 'install what is missing (on Debian and its like through apt-get, with sudo)')
    .addOption(mirrorOption())
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(async ({ fix = false, mirror }: { fix?: boolean; mirror?: string }) => {
      const { diagnose, ensureHost, requireUsable } = await import('../../doctor/index.ts');
      if (fix) {
        const options = { signal: context.interrupts(), onProgress: context.progress(), mirror };
        for (const done of await ensureHost(context.paths, options)) context.hint(done);
        context.endProgress();
      }
      const diagnosis = await diagnose(context.paths);
      const capabilities = [...diagnosis.capabilities, ...(await runningBuilds(context))];
      if (context.json) context.printJson(capabilities);
      else context.print(renderDiagnosis(capabilities, context.style, widthOf(process.stdout)));
      requireUsable(diagnosis);
    });
}

async function runningBuilds(context: CommandContext): Promise<Capability[]> {
  const machines = await context.machines();
  // Without a machine there is nothing to load the build's code for.
  if (!(await machines.list()).some(({ state }) => state === 'running')) return [];
  const { buildChecks } = await import('../../build/checks.ts');
  const checks = await stage(context.progress(), 'build.probe', 'Building the probe', () =>
    buildChecks(machines, context.interrupts()),
  );
  context.endProgress();
  return checks;
}

/** A line for what is well; what is not adds why and how to mend it. Lines are broken to `width` characters. */
export function renderDiagnosis(
  capabilities: readonly Capability[],
  style: Style,
  width = Number.POSITIVE_INFINITY,
): string {
  const names = Math.max(...capabilities.map(({ id }) => id.length));
  const mark = { ok: style.green('ok      '), degraded: style.yellow('degraded'), missing: style.red('missing ') };
  const block = (text: string, indent: number): string => wrap(printable(text), width, indent);
  return capabilities
    .map(({ id, status, what, why, fix }) => {
      const more = Object.entries({ Why: why, Fix: fix }).filter(([, text]) => text !== '');
      const lines = more.map(([name, text]) => `${' '.repeat(10)}${style.dim(`${name}:`)} ${block(text, 15)}\n`);
      return `${mark[status]}  ${id.padEnd(names)}  ${block(what, names + 12)}\n${lines.join('')}`;
    })
    .join('');
}
