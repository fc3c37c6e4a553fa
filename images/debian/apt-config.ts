/** The host's own apt configuration, read (never run): its archives, and whether it tolerates an old Release file. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseControl } from './control.ts';

/** An enabled archive of binary packages, reachable over http(s). */
export interface AptSource {
  /** Without a trailing slash. */
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

export interface AptConfig {
  /** In apt's order. */
  readonly sources: readonly AptSource[];
  /** False when `Acquire::Check-Valid-Until` is switched off for the whole host (apt.conf(5)). */
  readonly checkValidUntil: boolean;
}

/** Larger files are not configuration. */
const MAX_FILE_BYTES = 1024 * 1024;

/** Reads `<root>/etc/apt`. What is missing, unreadable or malformed counts as absent: apt itself reports it better. */
export async function readAptConfig(root = '/'): Promise<AptConfig> {
  const folder = path.join(root, 'etc/apt');
  const lists = [path.join(folder, 'sources.list'), ...(await filesOf(path.join(folder, 'sources.list.d')))];
  const sources: AptSource[] = [];
  for (const file of lists) {
    // sources.list(5): other extensions are ignored.
    if (file.endsWith('.sources')) sources.push(...deb822Sources(await textOf(file)));
    else if (file.endsWith('.list')) sources.push(...oneLineSources(await textOf(file)));
  }
  const configurations = [...(await filesOf(path.join(folder, 'apt.conf.d'))), path.join(folder, 'apt.conf')];
  let checkValidUntil = true;
  for (const file of configurations) {
    checkValidUntil = lastBoolean(await textOf(file), 'acquire::check-valid-until') ?? checkValidUntil;
  }
  return { sources: await resolveMirrorFiles(sources, root), checkValidUntil };
}

async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.sort().map((name) => path.join(folder, name));
}

async function textOf(file: string): Promise<string> {
  const bytes = await readFile(file).catch(() => null);
  return bytes === null || bytes.length > MAX_FILE_BYTES ? '' : bytes.toString('utf8');
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');

/** sources.list(5), "deb822-style format". */
function deb822Sources(text: string): AptSource[] {
  let paragraphs: ReturnType<typeof parseControl>;
  try {
    paragraphs = parseControl(text);
  } catch {
    return [];
  }
  return paragraphs
    .filter(
      (one) =>
        words(one.get('types')).includes('deb') && !/^(no|false|without|off|disable)$/i.test(one.get('enabled') ?? ''),
    )
    .flatMap((one) => {
      const suites = words(one.get('suites'));
      const components = words(one.get('components'));
      return words(one.get('uris')).map((uri) => ({ uri: uri.replace(/\/+$/, ''), suites, components }));
    });
}

/** sources.list(5), "one-line-style format": `deb [option=value …] uri suite component…`. */
function oneLineSources(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    const [, uri, suite, components] = match ?? [];
    if (uri === undefined || suite === undefined) return [];
    return [{ uri: uri.replace(/\/+$/, ''), suites: [suite], components: words(components) }];
  });
}

/** `mirror+file:` names a file of archive URIs, one a line (apt-transport-mirror(1)); Debian's cloud images use it. */
async function resolveMirrorFiles(sources: readonly AptSource[], root: string): Promise<AptSource[]> {
  const resolved: AptSource[] = [];
  for (const source of sources) {
    if (/^https?:\/\//.test(source.uri)) {
      resolved.push(source);
    } else if (source.uri.startsWith('mirror+file:')) {
      const text = await textOf(path.join(root, source.uri.slice('mirror+file:'.length)));
      for (const line of text.split('\n')) {
        const [uri] = words(line);
        if (uri !== undefined && /^https?:\/\//.test(uri)) resolved.push({ ...source, uri: uri.replace(/\/+$/, '') });
      }
    }
  }
  return resolved;
}

/**
 * The last value of a boolean option in apt.conf(5) syntax: `A::B "no";` and `A { B "no"; };` are the same.
 * Undefined when it is not set.
 */
function lastBoolean(text: string, option: string): boolean | undefined {
  const tokens = text.match(/"[^"\n]*"|\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/|[{};]|[^\s{};"]+/g) ?? [];
  const scopes: string[] = [];
  let name = '';
  let value: boolean | undefined;
  for (const token of tokens) {
    if (token.startsWith('//') || token.startsWith('#') || token.startsWith('/*')) continue;
    if (token === '{') {
      scopes.push(name);
      name = '';
    } else if (token === '}') {
      scopes.pop();
      name = '';
    } else if (token === ';') {
      name = '';
    } else if (name === '') {
      name = token.toLowerCase();
    } else if ([...scopes, name].filter((scope) => scope !== '').join('::') === option) {
      value = !/^(no|false|without|off|disable|0)$/i.test(token.replaceAll('"', ''));
    }
  }
  return value;
}
