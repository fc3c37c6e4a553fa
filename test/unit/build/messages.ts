/** BuildKit's messages and the steps of them, for tests. */
import type { BuildStep } from '../../../host/build/steps.ts';

export const START = '2026-01-01T00:00:00.000000000Z';

export const run = (digest: string, name: string, more: object): object => ({ digest, name, ...more });

/** A RUN step that has ended. */
export const step = (change: Partial<BuildStep> = {}): BuildStep => ({
  number: 5,
  digest: 'sha256:5',
  name: '[2/2] RUN make',
  runs: true,
  startedMs: 1000,
  completedMs: 3000,
  cached: false,
  error: '',
  log: '',
  doneBytes: 0,
  totalBytes: 0,
  ...change,
});
