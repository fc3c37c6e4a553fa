/** Docker images out of the Debian archive, made in a machine's own engine: no registry and no Dockerfile is needed. */
import type { AgentClient } from '../host/channel/agent-client.ts';
import { runInGuest } from '../host/channel/guest-command.ts';
import { RosettaVmError } from '../host/errors.ts';
import { ignoreProgress, stage } from '../host/progress.ts';
import { type BaseRootOptions, buildBaseRoot, streamBaseRoot } from './base-root.ts';

export interface BaseImageOptions extends BaseRootOptions {
  /** Of the machine whose engine gets the image. */
  readonly agent: AgentClient;
  /** Repository and tag, as `docker tag` takes them; without a tag it gets `latest`. */
  readonly name: string;
  readonly signal: AbortSignal;
}

export interface BaseImage {
  readonly name: string;
  /** Of the image, `sha256:…`. */
  readonly id: string;
  /** As Docker writes it, `linux/amd64`. */
  readonly platform: string;
  readonly suite: string;
  /** SHA-256 (hex) of the root archive: what its label {@link ROOT_LABEL} says. */
  readonly root: string;
  /** Of the root archive. */
  readonly bytes: number;
  readonly packages: readonly { readonly name: string; readonly version: string }[];
  /** False: the engine had the same image under this name already. */
  readonly loaded: boolean;
}

/** Tells which root an image was made of. Reverse domain notation, as Docker's documentation of labels asks for. */
export const ROOT_LABEL = 'org.rosetta-vm.root';

/** Asking the engine for a name. */
const LOOK_LIMIT_MS = 60_000;
/** About 300 MB through an emulated machine, which also takes their digest. */
const LOAD_LIMIT_MS = 15 * 60_000;
const LOAD_STAGE = 'base-image.load';

/** What a container is started with unless its Dockerfile or command line says otherwise; Debian's own images do so too. */
const CHANGES = ['ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'CMD ["/bin/sh"]'];

/**
 * Builds the root and imports it, or finds that the engine has it. The same name with other packages moves to the new
 * image, as with `docker tag`. Throws `E_INVALID` for a name or package that cannot be, what {@link buildBaseRoot} and
 * {@link runInGuest} throw, and `E_STATE` when the engine does not answer.
 */
export async function makeBaseImage(options: BaseImageOptions): Promise<BaseImage> {
  const { agent, signal, suite, architecture, onProgress = ignoreProgress } = options;
  const name = imageName(options.name);
  options.packages.forEach(checkPackage);
  checkSuite(suite);
  const platform = `linux/${architecture}`;
  const root = await buildBaseRoot(options);
  const label = `${ROOT_LABEL}=${root.sha256}`;
  const described = { name, platform, suite, root: root.sha256, bytes: root.bytes, packages: root.packages };
  const present = await findImage(agent, name, label, signal);
  if (present !== null) return { ...described, id: present, loaded: false };

  const changes = [...CHANGES, `LABEL ${label}`].flatMap((change) => ['--change', change]);
  const argv = ['docker', 'import', '--platform', platform, ...changes, '-', name];
  const id = await stage(onProgress, LOAD_STAGE, `Loading ${name} into the machine’s engine`, async () => {
    const input = streamBaseRoot(root, (doneBytes) =>
      onProgress({ kind: 'bytes', id: LOAD_STAGE, doneBytes, totalBytes: root.bytes }),
    );
    return (await runInGuest(agent, { argv }, { limitMs: LOAD_LIMIT_MS, signal, input })).stdout.trim();
  });
  return { ...described, id, loaded: true };
}

/** Id of the image that has both; null when there is none. Asked with a filter: what is missing is then no failure. */
async function findImage(agent: AgentClient, name: string, label: string, signal: AbortSignal): Promise<string | null> {
  const argv = [
    ...['docker', 'image', 'ls', '--quiet', '--no-trunc'],
    ...['--filter', `reference=${name}`, '--filter', `label=${label}`],
  ];
  try {
    const { stdout } = await runInGuest(agent, { argv }, { limitMs: LOOK_LIMIT_MS, signal });
    return stdout.trim().split('\n')[0] || null;
  } catch (error) {
    if (!(error instanceof RosettaVmError) || error.code !== 'E_EXEC') throw error;
    throw new RosettaVmError('E_STATE', {
      what: 'The machine’s Docker engine does not answer.',
      why: error.why,
      fix: '`rosetta-vm status` says what state it is in; `rosetta-vm logs` shows why.',
      cause: error,
    });
  }
}

/**
 * Docker's grammar of a reference (distribution/reference, reference.go) without digest: components of lower-case
 * letters and digits, joined by one `.`, one or two `_`, or any number of `-`; a first one with a dot, a port or
 * `localhost` is a registry's host.
 */
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*';
const HOST = '(?:[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)+(?::\\d{1,5})?|localhost(?::\\d{1,5})?|[A-Za-z0-9-]+:\\d{1,5})';
const REFERENCE = new RegExp(`^(?:${HOST}/)?${COMPONENT}(?:/${COMPONENT})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$`);
/** Of the repository; its host counts, its tag does not (same file, `NameTotalLengthMax`). */
const MAX_REPOSITORY_LENGTH = 255;

/** The name with its tag. Throws `E_INVALID`. */
export function imageName(text: string): string {
  const tag = /:[^:/]*$/.exec(text)?.[0] ?? '';
  const repository = text.slice(0, text.length - tag.length);
  if (REFERENCE.test(text) && repository.length <= MAX_REPOSITORY_LENGTH) return tag === '' ? `${text}:latest` : text;
  throw new RosettaVmError('E_INVALID', {
    what: `An image cannot be called ${JSON.stringify(text)}.`,
    why: 'A name has lower-case letters and digits, joined by “.”, “_”, “-” and “/”, and a tag after “:”.',
    fix: 'Write it like debian-gcc:trixie.',
    facts: { name: text },
  });
}

/** Debian Policy, section 5.6.1: at least two characters. */
const PACKAGE_NAME = /^[a-z0-9][a-z0-9+.-]{1,127}$/;

function checkPackage(name: string): void {
  if (PACKAGE_NAME.test(name)) return;
  throw new RosettaVmError('E_INVALID', {
    what: `${JSON.stringify(name)} is not the name of a Debian package.`,
    why: 'It has two or more lower-case letters, digits, “+”, “-” and “.”.',
    fix: 'Write the packages like gcc,make,libc6-dev.',
    facts: { package: name },
  });
}

/** It becomes a part of an address and of a path. */
const SUITE_NAME = /^[a-z][a-z0-9-]{1,63}$/;

function checkSuite(suite: string): void {
  if (SUITE_NAME.test(suite)) return;
  throw new RosettaVmError('E_INVALID', {
    what: `${JSON.stringify(suite)} is not the name of a Debian suite.`,
    why: 'It has two or more lower-case letters, digits and “-”.',
    fix: 'Write it like trixie.',
    facts: { suite },
  });
}
