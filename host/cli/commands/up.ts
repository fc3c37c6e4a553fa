/** `rosetta-vm up`: from nothing to a running machine. */
import { Command, Option } from 'commander';
import { asRosettaVmError } from '../../errors.ts';
import type { MachineStatus } from '../../machine/machine.ts';
import type { Machines } from '../../machine/machines.ts';
import type { ProgressSink } from '../../progress.ts';
import type { SpecOverrides } from '../../spec/load.ts';
import type { MachineSpec } from '../../spec/spec.ts';
import { askYesNo, canAsk } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { shellQuote } from '../format.ts';
import { jsonOption, mirrorOption, optionalMachineArgument, wholeNumber } from '../options.ts';
import { describeCache, describeEngine, describeTranslator } from '../status-text.ts';
import { renderTrace, TraceRecorder, writeTrace } from '../trace.ts';

interface UpFlags {
  readonly file?: string;
  readonly cpus?: number;
  readonly memory?: string;
  readonly disk?: string;
  readonly image?: string;
  readonly translator?: NonNullable<SpecOverrides['translator']>;
  readonly cache: boolean;
  readonly mirror?: string;
  readonly dockerContext: boolean;
  readonly dryRun?: boolean;
  readonly trace?: boolean;
}

const EXAMPLES = `
Without -f, ./rosetta-vm.yaml is used when it is there; else the machine starts
as it was made. Flags go over both.

Examples:
  rosetta-vm up                          make and start the machine "default"
  rosetta-vm up ci --cpus 2 --memory 4   two CPUs and 4 GiB of memory
  rosetta-vm up --dry-run                show plan and processes; change nothing
  rosetta-vm up --trace                  show where the time goes`;

export function upCommand(context: CommandContext): Command {
  return new Command('up')
    .summary('make and start a machine')
    .description('Makes what is missing (image, machine), starts the machine, and waits until it can run programs.')
    .addArgument(optionalMachineArgument())
    .option('-f, --file <file>', 'the machine’s description (default: ./rosetta-vm.yaml, if there)')
    .addOption(
      new Option('--cpus <number>', 'virtual CPUs (default: the host’s, at most 4)').argParser(
        wholeNumber('--cpus', 1, 64),
      ),
    )
    .option(
      '--memory <size>',
      'such as 4GiB or 512MiB; a bare number is GiB (default: a quarter of the host’s, 2 to 8)',
    )
    .option('--disk <size>', 'size of the data disk, which takes only what is used and never shrinks (default: 64GiB)')
    .option('--image <image>', 'guest image, by name or id (default: "default")')
    .addOption(
      new Option('--translator <name>', 'what runs x86_64 programs (default: auto)').choices([
        'auto',
        'box64',
        'qemu',
        'rosetta',
      ]),
    )
    .option('--no-cache', 'translate anew in every process')
    .option('--no-docker-context', 'leave the docker command line’s contexts alone')
    .addOption(mirrorOption())
    .option('--dry-run', 'print the plan and the processes that would run; change nothing')
    .option('--trace', 'print every stage with its time, and keep that in the machine’s folder')
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action((name: string, flags: UpFlags) => up(context, name, flags));
}

async function up(context: CommandContext, name: string, flags: UpFlags): Promise<void> {
  const machines = await context.machines();
  const spec = await settleSpec(machines, name, flags);
  if (flags.dryRun) return await dryRun(context, machines, name, spec);

  const recorder = flags.trace ? new TraceRecorder('up') : null;
  const signal = context.interrupts();
  const onProgress = both(context.progress(), recorder?.sink);
  try {
    const status = await machines.up(name, spec, {
      signal,
      onProgress,
      ask: !context.json && canAsk() ? askYesNo : undefined,
      mirror: flags.mirror,
      dockerContext: flags.dockerContext,
    });
    context.endProgress();
    report(context, status);
    if (recorder !== null) await showTrace(context, recorder, status.directory);
  } catch (error) {
    context.endProgress();
    if (recorder !== null) context.tell(renderTrace(recorder.finish()));
    throw error;
  }
}

async function settleSpec(machines: Machines, name: string, flags: UpFlags): Promise<MachineSpec> {
  const { file, cpus, memory, disk, image, translator } = flags;
  const existing = await machines.status(name).catch((error: unknown) => {
    if (asRosettaVmError(error).code === 'E_NOT_FOUND') return null;
    throw error;
  });
  const { spec } = await machines.loadSpec({
    file,
    cwd: process.cwd(),
    remembered: existing?.spec ?? null,
    overrides: { cpus, memory, disk, image, translator, ...(flags.cache ? {} : { cache: { enabled: false } }) },
  });
  return spec;
}

/** A YAML document, so that it can be read by people and by programs alike. */
async function dryRun(context: CommandContext, machines: Machines, name: string, spec: MachineSpec): Promise<void> {
  const result = await machines.dryRun(name, spec);
  if (context.json) return context.printJson([result]);
  const { toYaml } = await import('../yaml.ts');
  const commands = result.commands.map(shellQuote);
  context.print(toYaml({ imageExists: result.imageExists, plan: result.plan, commands }));
  if (!result.imageExists) context.hint('There is no image of this version yet: `rosetta-vm up` would build it first.');
}

function report(context: CommandContext, status: MachineStatus): void {
  if (context.json) {
    context.printJson([status]);
    return;
  }
  const { name, translator, cache, engine, docker } = status;
  context.print(`${context.style.bold(name)} is ${status.state}\n`);
  if (translator !== null) context.print(`  translator  ${describeTranslator(translator)}\n`);
  if (cache !== null) context.print(`  cache       ${describeCache(cache)}\n`);
  if (engine !== null) context.print(`  docker      ${describeEngine(engine, docker?.host)}\n`);
  context.hint(`Next: rosetta-vm shell ${name}, or rosetta-vm exec ${name} -- uname -m`);
}

async function showTrace(context: CommandContext, recorder: TraceRecorder, directory: string): Promise<void> {
  const trace = recorder.finish();
  const file = await writeTrace(directory, trace);
  if (!context.json) context.tell(`${renderTrace(trace)}${file}\n`);
}

function both(first: ProgressSink, second: ProgressSink | undefined): ProgressSink {
  return (event) => {
    first(event);
    second?.(event);
  };
}
