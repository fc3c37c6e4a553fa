/** The command line of buildx in the guest, from a request and the places where its parts lie there. */
import { type BuildRequest, isImage } from './request.ts';

/** Where the host has put things in the guest; absolute paths. */
export interface GuestPlaces {
  readonly context: string;
  readonly dockerfile: string;
  /** Where buildx writes the image's id. */
  readonly imageIdFile: string;
  /** By the secret's id. */
  readonly secrets: ReadonlyMap<string, string>;
  /** By the context's name. */
  readonly namedContexts: ReadonlyMap<string, string>;
}

/**
 * buildx itself, where Debian's package has it: `docker` starts first, and then buildx twice. Measured with `version`
 * under emulation: 2.2 s by way of docker, 0.6 s without. Other roots have it somewhere else.
 */
const BUILDX = 'p=/usr/libexec/docker/cli-plugins/docker-buildx; [ -x $p ] || exec docker buildx "$@"; exec $p "$@"';

/** Files of the last stage come back on stdout; images stay in the engine, where `docker save` finds them. */
export function buildxArguments(request: BuildRequest, places: GuestPlaces): string[] {
  const { output } = request;
  const files = output.kind === 'tar' || output.kind === 'local';
  return [
    ...['sh', '-c', BUILDX, 'buildx', 'build'],
    // The engine's own BuildKit, whatever was made the default in the guest: it alone runs steps through the router.
    ...['--builder', 'default', '--progress', 'rawjson'],
    ...['--platform', request.platform, '--file', places.dockerfile],
    ...(files ? ['--output', 'type=tar,dest=-'] : []),
    ...(output.kind === 'none' ? ['--output', 'type=cacheonly'] : []),
    // buildx: "local and tar exporters are incompatible with image ID file".
    ...(isImage(output) ? ['--iidfile', places.imageIdFile] : []),
    ...request.tags.flatMap((tag) => ['--tag', tag]),
    ...request.buildArguments.flatMap((argument) => ['--build-arg', argument]),
    ...request.labels.flatMap((label) => ['--label', label]),
    ...request.extraHosts.flatMap((host) => ['--add-host', host]),
    ...request.secrets.flatMap(({ id }) => ['--secret', csv({ id, src: places.secrets.get(id) ?? '' })]),
    ...request.namedContexts.flatMap(({ name, source }) => [
      '--build-context',
      `${name}=${'reference' in source ? source.reference : (places.namedContexts.get(name) ?? '')}`,
    ]),
    ...(request.target === null ? [] : ['--target', request.target]),
    ...(request.network === null ? [] : ['--network', request.network]),
    ...(request.noCache ? ['--no-cache'] : []),
    ...(request.pull ? ['--pull'] : []),
    ...['--', places.context],
  ];
}

/** One CSV record (RFC 4180), which is how buildx reads it. */
function csv(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key}=${value}`)
    .map((field) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join(',');
}
