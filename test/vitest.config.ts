import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { testEnvironment } from './integration/environment.ts';

/**
 * Unit tests whose subject is a program: they compile C, check the addon with clang, look at a page in a browser, or start
 * the command line again and again. They need no VM either, but minutes, so `npm run test:unit` leaves them out.
 */
const PROGRAMS = [
  'test/unit/benchmarks/bench/*.test.ts',
  'test/unit/benchmarks/report/page.test.ts',
  'test/unit/build/command.test.ts',
  'test/unit/cli/*.test.ts',
  'test/unit/guest/{engine,exec,network-key,package,rosetta,router,router-starts,runc-shim,runc-shim-scratch}.test.ts',
  'test/unit/images/{base-image-command,build,download,stored}.test.ts',
  'test/unit/mac-check/{command-line,scripts}.test.ts',
  'test/unit/native/*.test.ts',
];

/** Integration tests that start and end machines of their own; the others share one that runs all the time. */
const OWN_MACHINES = ['test/integration/{disk,driver,engine,image,lifecycle}.test.ts'];

/** What boots real VMs. One file after the other: `npm test` runs the two projects side by side. */
const virtualMachines = (name: string) => ({
  name,
  env: testEnvironment(name),
  testTimeout: 180_000,
  hookTimeout: 600_000,
  fileParallelism: false,
  globalSetup: 'test/integration/global-setup.ts',
});

export default defineConfig({
  test: {
    // vitest would leave one CPU free, which of two is half; and a file that waits for a process leaves one free as well.
    maxWorkers: availableParallelism() + 1,
    // The second that is vitest's own is gone in a pause of a busy machine.
    expect: { poll: { timeout: 15_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          exclude: PROGRAMS,
          // A module is loaded once for all files of a worker: a third of the time. So a file leaves globals as it found them.
          isolate: false,
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'programs',
          include: PROGRAMS,
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          ...virtualMachines('integration'),
          include: ['test/integration/**/*.test.ts'],
          exclude: OWN_MACHINES,
        },
      },
      { extends: true, test: { ...virtualMachines('machines'), include: OWN_MACHINES } },
    ],
  },
});
