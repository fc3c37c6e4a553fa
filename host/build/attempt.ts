/** One run of buildx in the guest: its progress read, its result received, its failure told. */
import type { Readable } from 'node:stream';
import type { AgentClient } from '../channel/agent-client.ts';
import { asRosettaVmError, RosettaVmError } from '../errors.ts';
import type { Receiver } from './output.ts';
import { RawProgressParser } from './raw-progress.ts';
import { type BuildStep, BuildSteps, type StepEvent } from './steps.ts';

/** BuildKit ends the steps, then buildx itself; after that the connection is cut. */
const CANCEL_LIMIT_MS = 10_000;
/** buildx's own last words: the excerpt of the Dockerfile and the error. */
const KEPT_TEXT_LINES = 100;
/** What BuildKit says of steps that it stopped because another one failed. */
const CANCELLED = /context canceled|Canceled/;

export interface AttemptOptions {
  readonly signal: AbortSignal;
  /** Takes what buildx writes to stdout. */
  readonly receiver: Receiver;
  readonly onStep: (event: StepEvent) => void;
  /** Everything that buildx writes to stderr, as it comes. */
  readonly onRaw: (piece: Buffer) => void;
}

export interface Attempt {
  readonly steps: readonly BuildStep[];
  readonly failure: BuildFailure | null;
}

export interface BuildFailure {
  /** Null when no step did: a Dockerfile that cannot be parsed, an image that is not to be had. */
  readonly step: BuildStep | null;
  /** buildx's error, one line. */
  readonly message: string;
  /** The lines of the Dockerfile where it failed, as buildx shows them; may be empty. */
  readonly excerpt: string;
}

/** Runs it to its end. Throws `E_ABORTED`, `E_EXEC` when docker cannot be started, and what the stream and receiver throw. */
export async function attemptBuild(
  agent: AgentClient,
  argv: readonly string[],
  options: AttemptOptions,
): Promise<Attempt> {
  const { signal, receiver } = options;
  const session = await agent.exec({ argv, stdin: false, env: BUILDX_ENVIRONMENT }, { signal });
  let timer: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    session.signal('SIGINT');
    timer = setTimeout(() => session.close(), CANCEL_LIMIT_MS);
  };
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  let succeeded = false;
  try {
    const [progress] = await Promise.all([readProgress(session.stderr, options), receiver.receive(session.stdout)]);
    const status = await session.exit;
    if (status.error !== undefined) throw noDocker(status.error);
    signal.throwIfAborted();
    succeeded = status.code === 0;
    return { steps: progress.steps, failure: succeeded ? null : failureOf(progress) };
  } catch (error) {
    throw signal.aborted ? asRosettaVmError(signal.reason) : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
    session.close();
    await receiver.finish(succeeded);
  }
}

/** Hints about other products are noise; an attestation would make an image an index of two. */
const BUILDX_ENVIRONMENT = { DOCKER_CLI_HINTS: 'false', BUILDX_NO_DEFAULT_ATTESTATIONS: '1' };

interface Progress {
  readonly steps: readonly BuildStep[];
  readonly text: readonly string[];
}

async function readProgress(stderr: Readable, { onStep, onRaw }: AttemptOptions): Promise<Progress> {
  const parser = new RawProgressParser();
  const steps = new BuildSteps();
  const text: string[] = [];
  const take = (all: ReturnType<RawProgressParser['push']>): void => {
    for (const one of all) {
      if (one.kind === 'message') for (const event of steps.take(one.message)) onStep(event);
      else text.push(one.line);
    }
    text.splice(0, Math.max(0, text.length - KEPT_TEXT_LINES));
  };
  for await (const piece of stderr as AsyncIterable<Buffer>) {
    onRaw(piece);
    take(parser.push(piece));
  }
  take(parser.end());
  return { steps: steps.list(), text };
}

function failureOf({ steps, text }: Progress): BuildFailure {
  const failed = steps.filter(({ error }) => error !== '');
  const step = failed.find(({ error }) => !CANCELLED.test(error)) ?? failed[0] ?? null;
  const at = text.findLastIndex((line) => line.startsWith('ERROR: '));
  const message = at === -1 ? (text.at(-1) ?? '') : (text[at] ?? '').slice('ERROR: '.length);
  const excerptAt = text.findIndex((line) => /^-{10,}$/.test(line));
  const excerpt = excerptAt === -1 ? [] : text.slice(Math.max(0, excerptAt - 1), at === -1 ? undefined : at);
  return { step, message: message.replace(/^failed to solve: /, ''), excerpt: excerpt.join('\n').trimEnd() };
}

const noDocker = (why: string): RosettaVmError =>
  new RosettaVmError('E_EXEC', {
    what: 'Docker’s client could not be started in the guest.',
    why,
    fix: 'Use a guest image of this version: `rosetta-vm image build`, then `down` and `up`.',
  });
