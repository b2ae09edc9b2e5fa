import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { PATIENCE_MS, TEST_PATIENCE_MS } from './test/e2e/harness/patience.ts';
import { COLD, NOT_IN_A_CONTAINER, ON_BOTH_IMAGES, WITHOUT_DOCKER } from './test/e2e-files.ts';
import { MEMORY_OF_NODE, NOT_OF_THE_IMAGE } from './test/not-of-the-image.ts';

// The tests use Debian's programs, not those that a version manager's shims find. Each `python3` that a shim starts makes a pass take six
// times as long, and borg does not run on that Python.
process.env.PATH = process.env.PATH?.split(':')
  .filter((folder) => !folder.endsWith('/shims'))
  .join(':');

/** Installs what a bare Debian lacks, and builds the program once. */
const globalSetup = ['test/e2e/harness/prepare-machine.ts'];
/** Real servers and real borg run on a busy machine: a test that hangs fails late, but no good test fails because it is slow. */
const patience = {
  testTimeout: TEST_PATIENCE_MS,
  hookTimeout: TEST_PATIENCE_MS,
  expect: { poll: { timeout: PATIENCE_MS } },
};

const target = process.env.E2E_TARGET ?? 'namespace';
/** Files that have no meaning here. Some need what a user namespace cannot have: another user namespace of as many ids. */
const notThere = { container: NOT_IN_A_CONTAINER, 'user-namespace': ['user-namespace', 'before-login'] }[target] ?? [];
/** The end-to-end files of this run (test/e2e-files.ts). */
const filesOfThisRun = {
  all: ['**/*'],
  'without-docker': WITHOUT_DOCKER,
  'newest-debian': ON_BOTH_IMAGES.filter((name) => !COLD.includes(name)),
}[process.env.E2E_FILES ?? 'all'];
if (filesOfThisRun === undefined)
  throw new Error(`E2E_FILES=${process.env.E2E_FILES} names no list of test/e2e-files.ts`);
const endToEnd = (names: readonly string[]) => ({
  include: names.map((name) => `test/e2e/${name}.test.ts`),
  exclude: notThere.map((name) => `test/e2e/${name}.test.ts`),
  globalSetup: [...globalSetup, 'test/e2e/harness/loaded-borg.ts'],
  // Each file has a server of its own.
  maxWorkers: 4,
  ...patience,
});

/** `test/units-in-image` leaves out the files that have run on the machine itself and have the same result in an image. */
const alreadyRun = process.env.UNITS_IN_IMAGE === undefined ? [] : [...NOT_OF_THE_IMAGE, MEMORY_OF_NODE];

/** The files that take longest. If they began last, each would run alone at the end. */
const LONGEST = [
  ...['interrupted-pass', 'box', 'all-goes-on', 'bounded-memory', 'walls', 'login', 'tiny-segments', 'terminal'],
  ...['client-text', 'isolation', 'shared-identities', 'status', 'repository', 'disk-floor', 'doctor', 'drift'],
  ...['quota', 'sub-repositories', 'before-login', 'passthrough', 'faults-disk', 'session-limits', 'admin'],
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files.filter((file) => !isLong(file)));
    return [...files.filter(isLong).sort((a, b) => place(a) - place(b)), ...others];
  }
}

const place = ({ moduleId }: TestSpecification): number =>
  LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
const isLong = (file: TestSpecification): boolean => place(file) >= 0;

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // A test mostly waits for other programs. So two cores can run more than two files at once.
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/scenarios/**', ...alreadyRun],
          globalSetup,
          maxWorkers: 3,
          ...patience,
        },
      },
      {
        test: {
          name: 'scenarios',
          include: ['test/scenarios/**/*.test.ts'],
          globalSetup,
          maxWorkers: 3,
          ...patience,
        },
      },
      { test: { name: 'e2e', ...endToEnd(filesOfThisRun) } },
      // Each session loads borg itself (SESSION_HOST=no). With `e2e` in one run, so that no core waits for the last file of either.
      { test: { name: 'cold', ...endToEnd(COLD), env: { E2E_SESSION_HOST: 'no' } } },
    ],
  },
});
