import { defineConfig } from 'vitest/config';

/** Installs what a bare Debian lacks, and builds the program once. */
const globalSetup = ['test/e2e/harness/prepare-machine.ts'];
/** Real servers and real borg on a busy machine: a test that hangs fails late, one that works never fails for being slow. */
const patience = { testTimeout: 400_000, hookTimeout: 400_000 };

/** What has no meaning with Docker, and what cannot be made in a user namespace: another one of as many ids. */
const notThere =
  {
    container: ['without-docker', 'user-namespace', 'faults-clock', 'before-login'],
    'user-namespace': ['user-namespace', 'before-login'],
  }[process.env.E2E_TARGET ?? ''] ?? [];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/scenarios/**'],
          globalSetup,
          ...patience,
        },
      },
      { test: { name: 'scenarios', include: ['test/scenarios/**/*.test.ts'], globalSetup, ...patience } },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: notThere.map((name) => `test/e2e/${name}.test.ts`),
          globalSetup,
          // Each file has a server of its own; more at once would only be slower on two cores.
          maxWorkers: 2,
          ...patience,
        },
      },
    ],
  },
});
