/** How long work tells what it is doing. The command line draws it; `--trace` and `--json` record it; a library user may ignore it. */

export type ProgressEvent =
  /** A stage began. `id` is stable (`image.download`, `qemu.start`); `title` is for people. */
  | {
      readonly kind: 'begin';
      readonly id: string;
      readonly title: string;
      readonly totalBytes?: number;
    }
  /** Bytes done so far in a stage that has begun. */
  | {
      readonly kind: 'bytes';
      readonly id: string;
      readonly doneBytes: number;
      readonly totalBytes: number;
    }
  /** The stage is over. `ms` is its length. */
  | { readonly kind: 'end'; readonly id: string; readonly ms: number }
  /** Something a person should know, without a stage. */
  | { readonly kind: 'note'; readonly message: string };

export type ProgressSink = (event: ProgressEvent) => void;

export const ignoreProgress: ProgressSink = () => {};

/** Runs one stage: announces it, times it, ends it even when it fails. */
export async function stage<T>(sink: ProgressSink, id: string, title: string, run: () => Promise<T>): Promise<T> {
  const started = performance.now();
  sink({ kind: 'begin', id, title });
  try {
    return await run();
  } finally {
    sink({ kind: 'end', id, ms: performance.now() - started });
  }
}
