/** `npm run demo`: from a fresh clone to x86_64 programs on a shared translation cache, measured. */
import path from 'node:path';
import { CommandContext } from '../../host/cli/context.ts';
import { renderError } from '../../host/cli/error-text.ts';
import { ensureHost } from '../../host/doctor/index.ts';
import { asRosettaVmError } from '../../host/errors.ts';
import { writeWhole } from '../../host/files.ts';
import { type MachineSpec, type MachineStatus, type Machines, parseSpec, version } from '../../host/index.ts';
import { alone } from '../alone.ts';
import { measureDockerBuild } from '../docker-build.ts';
import { promisedNumbers } from '../goals.ts';
import { ensureGuestTree } from '../guest-tree.ts';
import { describeThisHost } from '../host-description.ts';
import { type BenchmarkRecord, newestRecord, readRecord } from '../record.ts';
import { renderMarkdown, renderReport } from '../report.ts';
import { measureStart } from '../start.ts';
import { runSuite } from '../suite.ts';
import { measureVersion } from '../version-time.ts';
import { TREE_PACKAGES, WORKLOADS, withRuns } from '../workloads.ts';
import { type DemoOptions, HELP, parseOptions } from './options.ts';

const MACHINE = 'demo';
/** Boots of each kind and builds of the configure step, and runs of each short command on the host. */
const USUAL_ROUNDS = 3;
const USUAL_COMMANDS = 21;

async function main(args: readonly string[]): Promise<number> {
  const context = new CommandContext({ json: args.includes('--json') });
  try {
    const options = parseOptions(args);
    if (options.help) context.print(HELP);
    else if (options.markdown !== null) context.print(await markdown(options.markdown));
    else await alone(context.paths, MACHINE, () => demo(context, options));
    return 0;
  } catch (thrown) {
    const error = asRosettaVmError(thrown);
    context.endProgress();
    context.tell(
      context.json ? `${JSON.stringify({ schemaVersion: 1, error })}\n` : renderError(error, context.errorStyle),
    );
    return error.code === 'E_ABORTED' ? (context.interruptStatus ?? error.exitStatus) : error.exitStatus;
  } finally {
    context.close();
  }
}

async function markdown(file: string): Promise<string> {
  return `${renderMarkdown(await readRecord(file === 'newest' ? await newestRecord() : file))}\n`;
}

async function demo(context: CommandContext, options: DemoOptions): Promise<void> {
  const status = await bringUp(context, options);
  const tree = await prepareTree(context, options);
  const record = await measure(context, options, status, tree);
  context.endProgress();
  if (options.record !== null) await writeWhole(path.resolve(options.record), toJson(record), 0o644);
  context.print(context.json ? toJson(record) : renderReport(record, context.style));
  if (!context.json) context.tell(nextSteps(tree));
}

const toJson = (record: BenchmarkRecord): string => `${JSON.stringify(record, null, 2)}\n`;

/** Host packages, image, machine: what exists already costs seconds. */
async function bringUp(context: CommandContext, { mirror }: DemoOptions): Promise<MachineStatus> {
  const begun = performance.now();
  const settings = { signal: context.interrupts(), onProgress: context.progress(), mirror };
  for (const sentence of await ensureHost(context.paths, settings)) {
    settings.onProgress({ kind: 'note', message: sentence });
  }
  const machines = await context.machines();
  const status = await machines.up(MACHINE, await specFor(machines), settings);
  const message = `The machine ${MACHINE} is ready after ${((performance.now() - begun) / 1000).toFixed(1)} s.`;
  settings.onProgress({ kind: 'note', message });
  return status;
}

/** The machine's own when there is one: its owner may have given it more memory. */
async function specFor(machines: Machines): Promise<MachineSpec> {
  try {
    return (await machines.status(MACHINE)).spec ?? parseSpec({});
  } catch (error) {
    if (asRosettaVmError(error).code === 'E_NOT_FOUND') return parseSpec({});
    throw error;
  }
}

async function prepareTree(context: CommandContext, { mirror }: DemoOptions): Promise<string> {
  return await ensureGuestTree({
    agent: await (await context.machines()).agent(MACHINE),
    paths: context.paths,
    name: MACHINE,
    packages: TREE_PACKAGES,
    mirror,
    signal: context.interrupts(),
    onProgress: context.progress(),
  });
}

async function measure(
  context: CommandContext,
  { runs, quick, mirror }: DemoOptions,
  status: MachineStatus,
  tree: string,
): Promise<BenchmarkRecord> {
  const { paths } = context;
  const signal = context.interrupts();
  const onProgress = context.progress();
  const machines = await context.machines();
  const agent = await machines.agent(MACHINE);
  const workloads = runs === null ? WORKLOADS : WORKLOADS.map((workload) => withRuns(workload, runs));
  const spec = status.spec ?? parseSpec({});
  const cacheEnabled = spec.cache.enabled;
  const suite = await runSuite({ agent, cacheEnabled, tree, workloads, signal, onProgress });
  const { process: hostProcess } = await machines.status(MACHINE);
  const around = { machines, paths, spec, signal, onProgress };
  const rounds = runs ?? USUAL_ROUNDS;
  const builds = await measureDockerBuild({ ...around, machine: MACHINE, quick, rounds, mirror });

  const start = await measureStart({ ...around, rounds });
  const command = await measureVersion(runs ?? USUAL_COMMANDS, signal);
  const measured = { results: suite.results, build: builds.times, quick, start, version: command };
  return {
    schemaVersion: 1,
    version,
    date: new Date().toISOString(),
    host: await describeThisHost(paths, status),
    translators: [...suite.translators],
    results: suite.results,
    rejected: [...suite.rejected, ...builds.rejected],
    cache: suite.cache,
    build: builds.times,
    start,
    command,
    numbers: promisedNumbers({ ...measured, hostProcessBytes: hostProcess?.memoryBytes ?? null }),
  };
}

const nextSteps = (tree: string): string => `
The machine ${MACHINE} is still running, with an amd64 Debian tree on its data disk. What to try next:

  rosetta-vm exec ${MACHINE} --root ${tree} -- gcc --version
  rosetta-vm build -m ${MACHINE} -t wordtally --explain examples/wordtally
  rosetta-vm shell ${MACHINE}          look around in the guest
  rosetta-vm cache stats ${MACHINE}    see what the translation cache holds
  rosetta-vm down ${MACHINE}           stop it; \`up\` finds everything as it was

In this folder the command is \`node dist/rosetta-vm.js\`.
`;

process.exitCode = await main(process.argv.slice(2));
