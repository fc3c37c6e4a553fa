/** `rosetta-vm build`: `docker build` in a machine, without Docker on the host. */
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Argument, Command, Option } from 'commander';
import type { BuildResult } from '../../build/build.ts';
import type { BuildOutput, BuildRequest, BuildSecret, NamedContext } from '../../build/request.ts';
import {
  DEFAULT_PLATFORM,
  parseContext,
  parseNamedContext,
  parseOutput,
  parseSecret,
  unsupported,
} from '../../build/request.ts';
import { RosettaVmError } from '../../errors.ts';
import { ignoreProgress } from '../../progress.ts';
import { BuildDisplay, type BuildDisplayMode } from '../build-display.ts';
import type { CommandContext } from '../context.ts';
import { renderExplanation } from '../explain-text.ts';
import { jsonOption } from '../options.ts';
import { runningMachine } from '../running-machine.ts';
import { renderFields } from '../table.ts';

interface BuildFlags {
  readonly machine: string;
  readonly tag: readonly string[];
  readonly file?: string;
  readonly buildArg: readonly string[];
  readonly secret: readonly BuildSecret[];
  readonly buildContext: readonly NamedContext[];
  readonly target?: string;
  readonly platform: string;
  readonly output?: BuildOutput;
  readonly load?: boolean;
  readonly progress: 'auto' | BuildDisplayMode;
  readonly quiet?: boolean;
  readonly iidfile?: string;
  readonly cache: boolean;
  readonly pull?: boolean;
  readonly label: readonly string[];
  readonly network?: string;
  readonly addHost: readonly string[];
  readonly explain?: boolean;
  readonly probe?: boolean;
  readonly retry: boolean;
}

const EXAMPLES = `
The machine is started when it does not run. A step that fails as if the
translator had failed it is tried again without the translation cache, then with
the next translator; --no-retry leaves it at one try.

Examples:
  rosetta-vm build -t app:1 .
  rosetta-vm build --explain -f docker/Dockerfile --target test .
  rosetta-vm build --secret id=token,env=TOKEN -o type=local,dest=out .
  rosetta-vm build -o type=oci,dest=app.tar .`;

export function buildCommand(context: CommandContext): Command {
  const command = new Command('build')
    .summary('build an x86_64 image, as docker build does')
    .description('Builds an image from a Dockerfile in a machine, with the translation cache in every RUN step.')
    .addArgument(new Argument('[directory]', 'the build context'))
    .option('-m, --machine <machine>', 'machine to build in', 'default')
    .addOption(listOption('-t, --tag <name>', 'name the image; may be given more than once'))
    .option(
      '-f, --file <file>',
      'the Dockerfile; “-” reads it from standard input (default: Dockerfile in the context)',
    )
    .addOption(listOption('--build-arg <key=value>', 'set an ARG; KEY alone passes this shell’s value on'))
    .addOption(listOption('--secret <secret>', 'id=NAME,src=FILE or id=NAME,env=VARIABLE', parseSecret))
    .addOption(
      listOption('--build-context <name=source>', 'another context: a folder, or docker-image://…', parseNamedContext),
    )
    .option('--target <stage>', 'build this stage')
    .option('--platform <platform>', 'what to build for', DEFAULT_PLATFORM)
    .addOption(
      new Option('-o, --output <output>', 'a folder, “-”, or type=docker|oci|tar|local|cacheonly,dest=…').argParser(
        parseOutput,
      ),
    )
    .addOption(new Option('--load', 'keep the image in the machine (default)').conflicts('output'))
    .addOption(
      new Option('--progress <form>', 'how to show the course of the build')
        .choices(['auto', 'plain', 'tty', 'rawjson', 'quiet'])
        .default('auto'),
    )
    .option('-q, --quiet', 'print only the image’s id')
    .option('--iidfile <file>', 'write the image’s id to a file')
    .option('--no-cache', 'build every step anew (the translation cache is used all the same)')
    .option('--pull', 'look for newer base images')
    .addOption(listOption('--label <key=value>', 'set metadata of the image'))
    .option('--network <mode>', 'network of RUN steps: default, none or host')
    .addOption(listOption('--add-host <host:ip>', 'add a name to /etc/hosts of RUN steps'))
    .option('--explain', 'print per step which translator ran, what the cache gave, and the time')
    .option(
      '--probe',
      'build nothing of yours: say what translates x86_64 programs in a step, and whether it has the cache',
    )
    .option('--no-retry', 'do not try again what looks like a translator’s fault')
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action((directory: string | undefined, flags: BuildFlags) =>
      flags.probe ? probe(context, flags.machine) : build(context, directory, flags),
    );
  for (const option of FOREIGN_FLAGS.map(foreignOption)) command.addOption(option);
  return command;
}

/** A flag that may be given more than once. */
function listOption<T = string>(
  flags: string,
  description: string,
  parse: (text: string) => T = (text) => text as T,
): Option {
  return new Option(flags, description)
    .default([], 'none')
    .argParser((text: string, sofar: readonly T[]) => [...sofar, parse(text)]);
}

/** Flags of docker build (docker.com reference; buildx 0.13 and Docker 26) that need its own client. */
const FOREIGN_FLAGS = [
  ...['--allow', '--annotation', '--attest', '--builder', '--cache-from', '--cache-to', '--cgroup-parent'],
  ...['--compress', '--cpu-period', '--cpu-quota', '--cpu-shares', '--cpuset-cpus', '--cpuset-mems', '--force-rm'],
  ...['--isolation', '--memory', '--memory-swap', '--metadata-file', '--no-cache-filter', '--provenance', '--push'],
  ...['--rm', '--sbom', '--security-opt', '--shm-size', '--squash', '--ssh', '--ulimit'],
];

const foreignOption = (flag: string): Option =>
  new Option(`${flag} [value]`)
    .hideHelp()
    .preset('')
    .argParser((): never => {
      throw unsupported(flag, 'It belongs to what only Docker’s own client does.');
    });

async function probe(context: CommandContext, machine: string): Promise<void> {
  const { probeStep } = await import('../probe-step.ts');
  const result = await probeStep(context, (signal) => runningMachine(context, machine, signal));
  if (context.json) return context.printJson([result]);
  const { translator, cache, entries } = result;
  context.print(
    renderFields(
      [
        ['translator', translator ?? 'not counted on this machine'],
        ['cache', cache ? 'in reach of the step' : 'not in reach of the step'],
        ['entries', entries === null ? 'not known' : `${entries.new} new, ${entries.reused} reused`],
      ],
      context.style.dim,
    ),
  );
}

async function build(context: CommandContext, directory: string | undefined, flags: BuildFlags): Promise<void> {
  if (directory === undefined) throw noContext();
  const request = await settle(directory, flags);
  const mode = displayMode(context, flags);
  checkStdout(context, request.output, flags);
  const signal = context.interrupts();
  const agent = await runningMachine(context, flags.machine, signal);
  const { runBuild } = await import('../../build/build.ts');
  const display = new BuildDisplay({ stream: process.stderr, style: context.errorStyle, mode });
  try {
    const result = await runBuild(agent, request, {
      signal,
      stdout: process.stdout,
      explain: flags.explain === true,
      retry: flags.retry,
      onProgress: mode === 'quiet' || mode === 'rawjson' ? ignoreProgress : context.progress(),
      onEvent: (event) => {
        if (event.kind === 'begin') context.endProgress();
        display.take(event);
      },
    });
    context.endProgress();
    await report(context, result, request.output, flags);
  } finally {
    display.close();
  }
}

const noContext = (): RosettaVmError =>
  new RosettaVmError('E_USAGE', {
    what: 'No folder was given to build.',
    why: 'It is the context, whose files the Dockerfile may use.',
    fix: 'Give it, such as `rosetta-vm build .`.',
  });

async function settle(directory: string, flags: BuildFlags): Promise<BuildRequest> {
  const folder = parseContext(directory);
  const dockerfile = flags.file ?? path.join(folder, 'Dockerfile');
  return {
    context: folder,
    dockerfile: dockerfile === '-' ? await buffer(process.stdin) : dockerfile,
    tags: flags.tag,
    buildArguments: flags.buildArg.flatMap(withValue),
    labels: flags.label,
    extraHosts: flags.addHost,
    secrets: flags.secret,
    namedContexts: flags.buildContext,
    target: flags.target ?? null,
    platform: flags.platform,
    network: flags.network ?? null,
    output: flags.output ?? { kind: 'image' },
    noCache: !flags.cache,
    pull: flags.pull === true,
  };
}

/** `KEY` alone means this shell's value; one that has none is left out, as Docker does. */
function withValue(argument: string): string[] {
  if (argument.includes('=')) return [argument];
  const value = process.env[argument];
  return value === undefined ? [] : [`${argument}=${value}`];
}

function displayMode(context: CommandContext, { progress, quiet }: BuildFlags): BuildDisplayMode {
  if (quiet) return 'quiet';
  if (progress !== 'auto') return progress;
  if (process.stderr.isTTY) return 'tty';
  return context.json ? 'quiet' : 'plain';
}

/** stdout can carry one thing. */
function checkStdout(context: CommandContext, output: BuildOutput, { explain, quiet }: BuildFlags): void {
  const carriesResult = 'file' in output && output.file === null;
  const other = context.json ? '--json' : explain ? '--explain' : quiet ? '--quiet' : null;
  if (!carriesResult || other === null) return;
  throw new RosettaVmError('E_USAGE', {
    what: `${other} and an output to stdout exclude each other.`,
    why: 'Both would be written to stdout.',
    fix: 'Give the output a file: dest=FILE.',
  });
}

async function report(
  context: CommandContext,
  result: BuildResult,
  output: BuildOutput,
  flags: BuildFlags,
): Promise<void> {
  const { imageId, steps, context: sent } = result;
  if (flags.iidfile !== undefined && imageId !== null) {
    const { writeWhole } = await import('../../files.ts');
    await writeWhole(flags.iidfile, imageId, 0o644);
  }
  if (context.json) return context.printJson([result]);
  if (sent.skipped.length > 0) {
    context.tell(`rosetta-vm: sockets, pipes and devices are not sent: ${sent.skipped.slice(0, 5).join(', ')}\n`);
  }
  if (flags.quiet && imageId !== null) context.print(`${imageId}\n`);
  if (flags.explain) context.print(renderExplanation(steps));
  if (!flags.quiet && output.kind === 'image' && result.tags.length > 0) {
    context.hint(
      `${result.tags.join(', ')} is in the machine: rosetta-vm exec ${flags.machine} -- docker run --rm -it …`,
    );
  }
}
