/** The image's bill of materials: CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/). */
import { createHash } from 'node:crypto';
import { version } from '../host/version.ts';
import { spdxExpression } from './debian/spdx.ts';
import { type PackageLicenses, packageKey } from './licenses.ts';
import type { ImageManifest, ManifestPackage } from './manifest.ts';

/** The document of a manifest; the same manifest and licences give the same document. */
export function makeSbom(manifest: ImageManifest, licenses: PackageLicenses): unknown {
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(manifest.id)}`,
    version: 1,
    metadata: {
      timestamp: new Date(manifest.inputs.date * 1000).toISOString(),
      tools: { components: [{ type: 'application', name: 'rosetta-vm', version }] },
      component: {
        type: 'operating-system',
        'bom-ref': `rosetta-vm-image-${manifest.id}`,
        name: 'rosetta-vm guest image',
        version: manifest.id,
      },
    },
    components: [
      ...manifest.inputs.packages.map((one) => packageComponent(one, licenses.get(packageKey(one)) ?? [])),
      ...manifest.files.map(({ path, sha256 }) => ({
        type: 'file',
        'bom-ref': `file:${path}`,
        name: path,
        hashes: [{ alg: 'SHA-256', content: sha256 }],
      })),
    ],
  };
}

function packageComponent(one: ManifestPackage, declared: readonly string[]): unknown {
  const reference = packageUrl(one);
  return {
    type: 'library',
    'bom-ref': reference,
    name: one.name,
    version: one.version,
    licenses: [license(one, declared)],
    purl: reference,
    hashes: [{ alg: 'SHA-256', content: one.sha256 }],
    ...(one.homepage === '' ? {} : { externalReferences: [{ type: 'website', url: one.homepage }] }),
    properties: [
      { name: 'rosetta-vm:parts', value: one.parts.join(' ') },
      { name: 'rosetta-vm:source-package', value: one.source },
      ...(declared.length === 0 ? [] : [{ name: 'rosetta-vm:debian-licenses', value: declared.join('; ') }]),
    ],
  };
}

/** NOASSERTION is SPDX's word for what was not determined: the copyright file is prose for people. */
function license({ source }: ManifestPackage, declared: readonly string[]): unknown {
  if (declared.length === 0) return { license: { name: 'NOASSERTION' } };
  return { expression: spdxExpression(declared, source), acknowledgement: 'declared' };
}

/** Package URL of the type `deb` (https://github.com/package-url/purl-spec, types/deb). */
function packageUrl(one: ManifestPackage): string {
  const encoded = (text: string): string => encodeURIComponent(text).replaceAll('%3A', ':');
  return `pkg:deb/debian/${encoded(one.name)}@${encoded(one.version)}?arch=${one.architecture}&distro=${one.suite}`;
}

/** A UUID of version 8 (RFC 9562: the bits are the vendor's own) out of the image's id. */
function uuidOf(id: string): string {
  const hex = createHash('sha256').update(`rosetta-vm sbom ${id}`).digest('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${'89ab'[Number.parseInt(hex[16] ?? '0', 16) % 4]}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
