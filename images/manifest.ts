/** What an image is made of: every input with its digest, and every part with its. */
import { createHash } from 'node:crypto';
import type { DebianPackage } from './debian/packages.ts';

/** Where in an image a package's files went. The initial RAM disk is made of files of the root's packages. */
export type Part = 'kernel' | 'root' | 'translators';

export interface ManifestPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly suite: string;
  readonly source: string;
  readonly homepage: string;
  /** Of the .deb. */
  readonly sha256: string;
  readonly bytes: number;
  readonly parts: readonly Part[];
}

/** Decides the image; its digest is the image's id. */
export interface ImageInputs {
  /** Rises when the code makes something else of the same inputs. */
  readonly format: number;
  /** Date that every file gets, Unix seconds. */
  readonly date: number;
  readonly packages: readonly ManifestPackage[];
  /** Digest over the project's own files and lists. */
  readonly recipe: string;
}

export interface ImageManifest {
  readonly schemaVersion: 1;
  readonly id: string;
  readonly kernelVersion: string;
  readonly inputs: ImageInputs;
  /** Files of the image by their path in its folder. */
  readonly files: readonly { readonly path: string; readonly sha256: string; readonly bytes: number }[];
}

/** First 16 hexadecimal digits of the digest over the inputs. */
export const imageId = (inputs: ImageInputs): string => digestOf(inputs).slice(0, 16);

/** SHA-256 (hex) of a value's JSON; the order of its fields counts. */
export const digestOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

export const manifestPackage = (one: DebianPackage, parts: readonly Part[]): ManifestPackage => ({
  name: one.name,
  version: one.version,
  architecture: one.architecture,
  suite: one.suite,
  source: one.source,
  homepage: one.homepage,
  sha256: one.sha256,
  bytes: one.bytes,
  parts,
});
