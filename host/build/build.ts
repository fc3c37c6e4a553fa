/** `rosetta-vm build`: a folder of this host becomes an image in the machine's engine, or files here. */
import type { Writable } from 'node:stream';
import type { AgentClient } from '../channel/agent-client.ts';
import { RosettaVmError } from '../errors.ts';
import { ignoreProgress, type ProgressSink, stage } from '../progress.ts';
import { buildxArguments } from './arguments.ts';
import { attemptBuild, type BuildFailure } from './attempt.ts';
import { StepObserver, type StepReport } from './explain.ts';
import { suspectTranslator } from './failure.ts';
import { explainOutput } from './known-errors.ts';
import { discard, type Receiver, toFile, toFolder, toStream } from './output.ts';
import { type BuildOutput, type BuildRequest, isImage } from './request.ts';
import { type Condition, type FailedTry, ORDINARY, withRetries } from './retry.ts';
import { IMAGE_ID_FILE, readSources, type SentContext, sendSources } from './send.ts';
import type { StepEvent } from './steps.ts';
import { openWorkspace } from './workspace.ts';

export interface BuildOptions {
  readonly signal: AbortSignal;
  /** The work around the build: sending the context, receiving the result. */
  readonly onProgress?: ProgressSink;
  /** The build's own course. */
  readonly onEvent?: (event: BuildEvent) => void;
  /** Where output without a file goes. */
  readonly stdout: Writable;
  /** Ask the guest what each step did. */
  readonly explain: boolean;
  /** Try again what looks like a translator's fault. */
  readonly retry: boolean;
}

export type BuildEvent =
  /** A try begins, and ends. */
  | { readonly kind: 'begin' | 'end'; readonly condition: Condition }
  | StepEvent
  /** buildx's own progress, as it came. */
  | { readonly kind: 'raw'; readonly piece: Buffer }
  /** What a person must know, one sentence or a few. */
  | { readonly kind: 'note'; readonly text: string };

export interface BuildResult {
  /** `sha256:…`, or null when the result is no image. */
  readonly imageId: string | null;
  readonly tags: readonly string[];
  /** Of the try that succeeded; empty unless asked to explain. */
  readonly steps: readonly StepReport[];
  /** 1 unless it was tried again. */
  readonly tries: number;
  readonly context: SentContext;
}

/** Builds. Throws `E_BUILD` when a step fails, `E_ABORTED`, and what reading, sending and receiving throw. */
export async function runBuild(agent: AgentClient, request: BuildRequest, options: BuildOptions): Promise<BuildResult> {
  const { signal, onEvent = () => {}, onProgress = ignoreProgress } = options;
  const sources = await readSources(request);
  const workspace = await openWorkspace(agent, sources.context, signal);
  try {
    const { places, sent } = await sendSources(workspace, sources, { signal, onProgress });
    const argv = buildxArguments(request, places);
    let tries = 0;
    let steps: readonly StepReport[] = [];
    const attempt = async (condition: Condition): Promise<FailedBuild | null> => {
      tries += 1;
      onEvent({ kind: 'begin', condition });
      const observer = options.explain ? new StepObserver(agent) : null;
      const outcome = await attemptBuild(agent, argv, {
        signal,
        receiver: filesReceiver(request.output, options.stdout),
        onRaw: (piece) => onEvent({ kind: 'raw', piece }),
        onStep: (event) => {
          observer?.take(event);
          onEvent(event);
        },
      }).finally(() => onEvent({ kind: 'end', condition }));
      steps = (await observer?.report(outcome.steps)) ?? [];
      return outcome.failure === null ? null : failedBuild(condition, outcome.failure);
    };
    const failed = options.retry
      ? await withRetries(agent, attempt, { tell: (text) => onEvent({ kind: 'note', text }) })
      : await attempt(ORDINARY);
    if (failed !== null) throw buildError(failed, tries);
    const imageId = isImage(request.output) ? (await workspace.read(IMAGE_ID_FILE, signal)).trim() : null;
    if (imageId !== null) await receiveImage(agent, imageId, request, options);
    return { imageId, tags: request.tags, steps, tries, context: sent };
  } finally {
    await workspace.release();
  }
}

interface FailedBuild extends FailedTry {
  readonly failure: BuildFailure;
}

function failedBuild(condition: Condition, failure: BuildFailure): FailedBuild {
  const { step } = failure;
  return { condition, step, suspicion: step === null ? null : suspectTranslator(step), failure };
}

/** Where buildx's stdout goes: it carries the files of the last stage. */
function filesReceiver(output: BuildOutput, stdout: Writable): Receiver {
  if (output.kind === 'local') return toFolder(output.folder);
  return output.kind === 'tar' ? archiveReceiver(output.file, stdout) : discard;
}

const archiveReceiver = (file: string | null, stdout: Writable): Receiver =>
  file === null ? toStream(stdout) : toFile(file);

/**
 * The engine's BuildKit writes no image archives itself (buildx: "OCI exporter is not supported for the docker
 * driver"), so the image is saved from its store. Since Docker 25 that archive is an OCI layout with Docker's manifest.
 */
async function receiveImage(
  agent: AgentClient,
  imageId: string,
  { output, tags }: BuildRequest,
  { signal, stdout, onProgress = ignoreProgress }: BuildOptions,
): Promise<void> {
  if (output.kind !== 'oci' && output.kind !== 'docker') return;
  const receiver = archiveReceiver(output.file, stdout);
  const argv = ['docker', 'save', ...(tags.length > 0 ? tags : [imageId])];
  await stage(onProgress, 'build.save', 'Receiving the image', async () => {
    const session = await agent.exec({ argv, stdin: false }, { signal });
    const close = (): void => session.close();
    signal.addEventListener('abort', close, { once: true });
    let complaint = '';
    let succeeded = false;
    session.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('utf8')).slice(-1000);
    });
    try {
      await receiver.receive(session.stdout);
      const { code } = await session.exit;
      succeeded = code === 0;
      if (!succeeded) throw notSaved(imageId, complaint);
    } finally {
      signal.removeEventListener('abort', close);
      session.close();
      await receiver.finish(succeeded);
    }
  });
}

const notSaved = (imageId: string, why: string): RosettaVmError =>
  new RosettaVmError('E_BUILD', {
    what: `The image was built but not saved: ${imageId}.`,
    why: why.trim() || '`docker save` failed in the guest.',
    fix: 'The image is in the machine; save it with `docker save`.',
    facts: { imageId },
  });

/** The last lines of a step are what one looks for first. */
const SHOWN_LINES = 12;

function buildError({ failure, suspicion }: FailedBuild, tries: number): RosettaVmError {
  const { step, message, excerpt } = failure;
  const output = step === null ? '' : step.log.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n');
  const known = explainOutput(`${step?.log ?? ''}\n${message}`);
  const suspected = suspicion === null ? '' : `It looks like the translator’s fault: ${suspicion.evidence}.`;
  return new RosettaVmError('E_BUILD', {
    what: step === null ? 'The build failed.' : `Step ${step.number} failed: ${step.name}`,
    why: [output, excerpt, message, known?.why ?? suspected].filter((part) => part !== '').join('\n'),
    fix: known?.fix ?? (suspicion === null ? 'Correct the step and build again.' : remedy(tries)),
    facts: { step: step?.name ?? null, known: known?.id ?? null, tries, suspected: suspicion !== null },
  });
}

const remedy = (tries: number): string =>
  tries > 1
    ? 'It failed in every way that this machine has; `rosetta-vm logs --engine` may say more.'
    : 'Build again without --no-retry, or start the machine with another translator: `rosetta-vm up --translator qemu`.';
