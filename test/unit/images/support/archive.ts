/** A signed Debian archive on the loopback interface, with faults on demand. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import * as openpgp from 'openpgp';
import { type ArchiveKeys, archiveKeys } from '../../../../images/debian/keys.ts';
import { makeDeb, type TarMember } from './deb.ts';

export interface PackageSpec {
  readonly name: string;
  readonly version?: string;
  readonly depends?: string;
  readonly provides?: string;
  readonly files?: readonly TarMember[];
  /** Instead of a proper package of `files`. */
  readonly bytes?: Buffer;
}

/** Suite → architecture → packages. */
export type ArchiveSpec = Readonly<Record<string, Readonly<Record<string, readonly PackageSpec[]>>>>;

export interface TestArchive {
  /** For the option `mirror`. */
  readonly url: string;
  readonly keys: ArchiveKeys;
  /** Paths asked for so far, in order. */
  readonly requests: string[];
  /** Answers a path (its beginning is enough) in another way. */
  fault(prefix: string, answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void): void;
  /** Puts other bytes at a path. */
  replace(path: string, body: Buffer): void;
  /** Path of a package's .deb. */
  pathOf(name: string): string;
  close(): Promise<void>;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

export async function serveArchive(spec: ArchiveSpec): Promise<TestArchive> {
  const { privateKey, publicKey } = await openpgp.generateKey({
    type: 'ecc',
    userIDs: [{ name: 'Test archive' }],
    format: 'object',
    date: new Date(Date.now() - 60_000),
  });
  const files = new Map<string, Buffer>();
  for (const [suite, architectures] of Object.entries(spec)) {
    const indexes: string[] = [];
    for (const [architecture, packages] of Object.entries(architectures)) {
      const plain = Buffer.from(packages.map((one) => stanza(one, architecture, files)).join('\n'));
      const packed = gzipSync(plain);
      const name = `main/binary-${architecture}/Packages`;
      files.set(`/dists/${suite}/${name}.gz`, packed);
      files.set(`/dists/${suite}/main/binary-${architecture}/by-hash/SHA256/${sha256(packed)}`, packed);
      indexes.push(` ${sha256(plain)} ${plain.length} ${name}`, ` ${sha256(packed)} ${packed.length} ${name}.gz`);
    }
    const text = `Suite: ${suite}\nCodename: ${suite}\nDate: Sat, 21 Nov 2026 09:15:44 UTC\nArchitectures: amd64 arm64\nSHA256:\n${indexes.join('\n')}\n`;
    const signed = await openpgp.sign({
      message: await openpgp.createCleartextMessage({ text }),
      signingKeys: privateKey,
    });
    files.set(`/dists/${suite}/InRelease`, Buffer.from(signed));
  }

  const requests: string[] = [];
  const faults = new Map<string, (request: IncomingMessage, response: ServerResponse, body: Buffer) => void>();
  const server = createServer((request, response) => {
    const path = decodeURI(request.url ?? '');
    requests.push(path);
    const body = files.get(path);
    const fault = [...faults].find(([prefix]) => path.startsWith(prefix))?.[1];
    if (fault !== undefined) fault(request, response, body ?? Buffer.alloc(0));
    else if (body === undefined) response.writeHead(404).end();
    else sendRange(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keys: await archiveKeys([Buffer.from(publicKey.armor())]),
    requests,
    fault: (prefix, answer) => void faults.set(prefix, answer),
    replace: (path, body) => void files.set(path, body),
    pathOf: (name) => [...files.keys()].find((path) => path.startsWith(`/pool/${name}_`)) ?? '',
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** As a file server does it: RFC 9110 §14, one range from a first byte on. */
export function sendRange(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const headers = from > 0 ? { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` } : {};
  response.writeHead(from > 0 ? 206 : 200, { ...headers, 'content-length': body.length - from });
  response.end(body.subarray(from));
}

function stanza(one: PackageSpec, architecture: string, files: Map<string, Buffer>): string {
  const { name, version = '1.0-1', depends = '', provides = '' } = one;
  const bytes = one.bytes ?? makeDeb(one.files ?? [{ name: `./usr/share/doc/${name}/copyright`, content: name }]);
  const path = `pool/${name}_${version.replace(':', '.')}_${architecture}.deb`;
  files.set(`/${path}`, bytes);
  const fields = [
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    ...(depends === '' ? [] : [`Depends: ${depends}`]),
    ...(provides === '' ? [] : [`Provides: ${provides}`]),
    `Filename: ${path}`,
    `Size: ${bytes.length}`,
    `SHA256: ${sha256(bytes)}`,
  ];
  return `${fields.join('\n')}\n`;
}
