import { defineConfig } from 'vitest/config';

/** Unit tests need no VM. Integration tests boot real VMs, one file after the other, on two cores. */
export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          globalSetup: 'test/integration/global-setup.ts',
        },
      },
    ],
  },
});
