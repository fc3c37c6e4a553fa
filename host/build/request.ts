/** What the user asked to build: `docker build`'s flags as data, settled once, before anything is started. */
import path from 'node:path';
import { RosettaVmError } from '../errors.ts';

/** Where the result goes. `image`: into the engine's own store. */
export type BuildOutput =
  | { readonly kind: 'image' }
  /** An archive of the image, to a file of this host or (null) to stdout. Both kinds are one: an OCI layout that docker loads. */
  | { readonly kind: 'oci' | 'docker'; readonly file: string | null }
  /** The files of the last stage, as a tar archive or unpacked into a folder. */
  | { readonly kind: 'tar'; readonly file: string | null }
  | { readonly kind: 'local'; readonly folder: string }
  /** Nothing is kept but the build cache. */
  | { readonly kind: 'none' };

/** Whether the result is an image, which has an id and lies in the engine's store. */
export const isImage = ({ kind }: BuildOutput): boolean => kind === 'image' || kind === 'oci' || kind === 'docker';

export interface BuildSecret {
  readonly id: string;
  readonly from: { readonly file: string } | { readonly variable: string };
}

/** `--build-context name=…`: a folder of this host, or anything that the engine can fetch by itself. */
export interface NamedContext {
  readonly name: string;
  readonly source: { readonly folder: string } | { readonly reference: string };
}

export interface BuildRequest {
  /** Folder. */
  readonly context: string;
  /** Path of the Dockerfile, or its content. */
  readonly dockerfile: string | Buffer;
  readonly tags: readonly string[];
  readonly buildArguments: readonly string[];
  readonly labels: readonly string[];
  readonly extraHosts: readonly string[];
  readonly secrets: readonly BuildSecret[];
  readonly namedContexts: readonly NamedContext[];
  readonly target: string | null;
  readonly platform: string;
  readonly network: string | null;
  readonly output: BuildOutput;
  readonly noCache: boolean;
  readonly pull: boolean;
}

/** What every x86_64 build is for; `docker build` on this host would choose arm64. */
export const DEFAULT_PLATFORM = 'linux/amd64';

/** A build of a folder without any flag. */
export const PLAIN_BUILD: Omit<BuildRequest, 'context' | 'dockerfile'> = {
  tags: [],
  buildArguments: [],
  labels: [],
  extraHosts: [],
  secrets: [],
  namedContexts: [],
  target: null,
  platform: DEFAULT_PLATFORM,
  network: null,
  output: { kind: 'image' },
  noCache: false,
  pull: false,
};

/** Parses `--output`: the short form (a folder, or `-` for a tar on stdout) or `type=…,dest=…`. Throws `E_USAGE`. */
export function parseOutput(text: string): BuildOutput {
  if (text === '-') return { kind: 'tar', file: null };
  if (!text.includes('=')) return { kind: 'local', folder: text };
  const fields = parseFields(text, '--output');
  const { type, dest, ...others } = fields;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw unsupported(
      `--output ${text}`,
      `The attribute “${unknown}” is for exporters that rosetta-vm does not drive.`,
    );
  }
  const file = dest === undefined || dest === '-' ? null : dest;
  switch (type) {
    case 'image':
      return { kind: 'image' };
    case 'docker':
      return dest === undefined ? { kind: 'image' } : { kind: 'docker', file };
    case 'oci':
      return { kind: 'oci', file };
    case 'tar':
      return { kind: 'tar', file };
    case 'cacheonly':
      return { kind: 'none' };
    case 'local':
      if (file !== null) return { kind: 'local', folder: file };
      throw usage(`--output ${text} names no folder.`, 'type=local unpacks into one.', 'Add dest=FOLDER.');
    default:
      throw unsupported(`--output ${text}`, 'rosetta-vm knows image, docker, oci, tar, local and cacheonly.');
  }
}

/** Parses `--secret id=NAME[,src=FILE|,env=VARIABLE]`, with Docker's rules for what is left out. Throws `E_USAGE`. */
export function parseSecret(text: string): BuildSecret {
  const { id, type, src, source = src, env } = parseFields(text, '--secret');
  if (id === undefined || id === '') {
    throw usage(`--secret ${text} has no id.`, 'RUN --mount=type=secret,id=… names it.', 'Add id=NAME.');
  }
  if (type === 'env') return { id, from: { variable: env ?? source ?? id } };
  if (env !== undefined) return { id, from: { variable: env } };
  if (source !== undefined) return { id, from: { file: source } };
  return { id, from: process.env[id] === undefined ? { file: id } : { variable: id } };
}

/** Schemes that the engine fetches by itself (buildx reference, `--build-context`). */
const REMOTE_CONTEXT = /^(?:docker-image|https?|git|ssh):\/\//;

/** Parses `--build-context NAME=FOLDER|docker-image://…|https://…`. Throws `E_USAGE`. */
export function parseNamedContext(text: string): NamedContext {
  const at = text.indexOf('=');
  const name = text.slice(0, at);
  const source = text.slice(at + 1);
  if (at < 1 || source === '') {
    throw usage(`--build-context ${text} has no value.`, 'It is NAME=FOLDER or NAME=docker-image://IMAGE.', 'Add it.');
  }
  return { name, source: REMOTE_CONTEXT.test(source) ? { reference: source } : { folder: source } };
}

/** Settles what the context argument means. Throws `E_USAGE` for the forms that need a Docker client. */
export function parseContext(text: string): string {
  if (text === '-') throw unsupported('A context on standard input', 'rosetta-vm sends a folder.');
  if (/^(?:https?:\/\/|git@|git:\/\/|ssh:\/\/|github\.com\/)/.test(text)) {
    throw unsupported(`The context ${text}`, 'rosetta-vm sends a folder of this host.');
  }
  return path.resolve(text);
}

/** `key=value` pairs as Docker reads them: one CSV record (RFC 4180), keys in any case. */
function parseFields(text: string, flag: string): Partial<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (const field of csvRecord(text)) {
    const at = field.indexOf('=');
    if (at < 1) throw usage(`${flag} ${text} has “${field}” in it.`, 'Each part is NAME=VALUE.', 'Correct that part.');
    fields[field.slice(0, at).trim().toLowerCase()] = field.slice(at + 1);
  }
  return fields;
}

/** Commas separate, except within double quotes; two quotes in a quoted field are one. */
function csvRecord(text: string): string[] {
  const fields = text.match(/(?:^|,)(?:"(?:[^"]|"")*"|[^",]*)/g) ?? [];
  return fields.map((field) => {
    const content = field.startsWith(',') ? field.slice(1) : field;
    return content.startsWith('"') ? content.slice(1, -1).replaceAll('""', '"') : content;
  });
}

/** The flag or form is Docker's, and not ours: the engine's socket is the way. */
export function unsupported(what: string, why: string): RosettaVmError {
  return usage(
    `${what} is not supported by \`rosetta-vm build\`.`,
    why,
    'Docker’s own client can do it in the same machine: DOCKER_HOST=$(rosetta-vm env --docker-host) docker build …',
  );
}

const usage = (what: string, why: string, fix: string): RosettaVmError =>
  new RosettaVmError('E_USAGE', { what, why, fix });
