/** What an image is, on disk and in memory. */

/** Folders that the image code writes to (see host/paths.ts). */
export interface ImageStore {
  readonly images: string;
  readonly downloads: string;
  readonly tools: string;
}

/** A guest image: a folder named by its id. Paths are absolute. */
export interface ImageRecord {
  /** First 16 hexadecimal digits of the digest over the manifest: the same inputs give the same id. */
  readonly id: string;
  readonly name: string;
  /** Unix ms. */
  readonly createdAt: number;
  readonly arch: 'arm64';
  readonly kernelVersion: string;
  readonly directory: string;
  /** Raw arm64 Image (VZLinuxBootLoader takes no compressed kernel). */
  readonly kernel: string;
  readonly initialRamdisk: string;
  /** `root.tar`: the root file system, reproducible. */
  readonly rootArchive: string;
  /** The translator share: `manifest.json` and the programs. */
  readonly translators: string;
  /** Every package, version and digest. */
  readonly manifest: string;
  /** CycloneDX JSON. */
  readonly sbom: string;
  /** Bytes on disk. */
  readonly bytes: number;
}
