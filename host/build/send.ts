/** Brings to the guest what a build needs: context, Dockerfile, named contexts and secrets. */
import { readFile, stat } from 'node:fs/promises';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RosettaVmError } from '../errors.ts';
import { type ProgressSink, stage } from '../progress.ts';
import type { GuestPlaces } from './arguments.ts';
import { contextFolder, listContext, packContext, readDefinition } from './context.ts';
import { type IgnoreRules, NO_RULES, parseDockerignore } from './dockerignore.ts';
import type { BuildRequest, BuildSecret } from './request.ts';
import type { Workspace } from './workspace.ts';

/** What BuildKit accepts (session/secrets, MaxSecretSize). */
const MAX_SECRET_BYTES = 500 * 1024;
/** Name of the file in the workspace that buildx writes. */
export const IMAGE_ID_FILE = 'image-id';

export interface SentContext {
  readonly files: number;
  readonly bytes: number;
  /** Sockets, pipes and devices, which stay out. */
  readonly skipped: readonly string[];
}

export interface SendOptions {
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
}

/** What a build reads on this host, read and checked before anything is started. */
export interface BuildSources {
  readonly context: string;
  readonly definition: Awaited<ReturnType<typeof readDefinition>>;
  readonly namedContexts: readonly { readonly name: string; readonly folder: string; readonly rules: IgnoreRules }[];
  readonly secrets: readonly { readonly id: string; readonly content: Uint8Array }[];
}

/** Throws `E_NOT_FOUND` and `E_INVALID`, each with the flag that named what is missing. */
export async function readSources(request: BuildRequest): Promise<BuildSources> {
  const context = await contextFolder(request.context);
  const namedContexts = [];
  for (const { name, source } of request.namedContexts) {
    if ('reference' in source) continue;
    const folder = await contextFolder(source.folder);
    const text = await readFile(`${folder}/.dockerignore`, 'utf8').catch(() => null);
    namedContexts.push({ name, folder, rules: text === null ? NO_RULES : parseDockerignore(text) });
  }
  return {
    context,
    definition: await readDefinition(context, request.dockerfile),
    namedContexts,
    secrets: await Promise.all(request.secrets.map(async (one) => ({ id: one.id, content: await readSecret(one) }))),
  };
}

/** Sends everything; resolves to where it lies and to what the context was. */
export async function sendSources(
  workspace: Workspace,
  sources: BuildSources,
  options: SendOptions,
): Promise<{ readonly places: GuestPlaces; readonly sent: SentContext }> {
  const { signal } = options;
  const { definition } = sources;
  const main = await sendFolder(workspace, 'context', sources.context, definition.rules, options);
  const namedContexts = new Map<string, string>();
  for (const [index, { name, folder, rules }] of sources.namedContexts.entries()) {
    const { directory } = await sendFolder(workspace, `contexts/${index}`, folder, rules, options);
    namedContexts.set(name, directory);
  }
  const dockerfile = await workspace.write(`definition/${definition.name}`, definition.dockerfile, signal);
  if (definition.ownIgnoreFile !== null) {
    await workspace.write(`definition/${definition.name}.dockerignore`, definition.ownIgnoreFile, signal);
  }
  const secrets = new Map<string, string>();
  for (const [index, { id, content }] of sources.secrets.entries()) {
    secrets.set(id, await workspace.writeSecret(String(index), content, signal));
  }
  return {
    places: {
      context: main.directory,
      dockerfile,
      imageIdFile: `${workspace.directory}/${IMAGE_ID_FILE}`,
      secrets,
      namedContexts,
    },
    sent: main.sent,
  };
}

async function sendFolder(
  workspace: Workspace,
  name: string,
  folder: string,
  rules: IgnoreRules,
  { signal, onProgress }: SendOptions,
): Promise<{ readonly directory: string; readonly sent: SentContext }> {
  const id = `build.${name}`;
  return await stage(onProgress, id, 'Sending the build context', async () => {
    const { entries, skipped } = await listContext(folder, rules);
    const totalBytes = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    let doneBytes = 0;
    const counter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        doneBytes = Math.min(totalBytes, doneBytes + chunk.length);
        onProgress({ kind: 'bytes', id, doneBytes, totalBytes });
        done(null, chunk);
      },
    });
    const archive = new PassThrough();
    // A file that cannot be read ends the archive with its error, and so the program that unpacks it.
    const packed = pipeline(packContext(folder, entries), counter, archive, { signal });
    const [directory] = await Promise.all([workspace.unpack(name, archive, signal), packed.catch(throwUnreadable)]);
    return { directory, sent: { files: entries.length, bytes: totalBytes, skipped } };
  });
}

function throwUnreadable(error: NodeJS.ErrnoException): never {
  if (error.name === 'AbortError' || error.path === undefined) throw error;
  throw new RosettaVmError('E_INVALID', {
    what: `${error.path} cannot be sent with the build context.`,
    why: error.message,
    fix: 'Mend its rights, or leave it out with a line in .dockerignore. A file must not change while it is sent.',
    facts: { path: error.path },
    cause: error,
  });
}

async function readSecret({ id, from }: BuildSecret): Promise<Uint8Array> {
  if ('variable' in from) {
    const value = process.env[from.variable];
    if (value !== undefined) return Buffer.from(value);
    throw badSecret(id, `The variable ${from.variable} is not set.`);
  }
  try {
    const { size } = await stat(from.file);
    if (size <= MAX_SECRET_BYTES) return await readFile(from.file);
  } catch (error) {
    throw badSecret(id, (error as Error).message);
  }
  throw badSecret(id, `${from.file} has more than ${MAX_SECRET_BYTES} bytes, the most that BuildKit takes.`);
}

const badSecret = (id: string, why: string): RosettaVmError =>
  new RosettaVmError('E_NOT_FOUND', {
    what: `The secret ${id} cannot be read.`,
    why,
    fix: 'Write it as --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE.',
    facts: { id },
  });
