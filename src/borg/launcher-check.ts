import { execa } from 'execa';
import { failure } from '../failure.ts';

/** Whether the kernel has a box for each borg (landlock(7)); null: it has, and one that was tried holds. Else why not, printable. */
export type BoxState = string | null;

/**
 * Asks the launcher whether a box of the kernel holds here, which it tries, and whether this borg is one that it knows.
 *
 * @param folder on the file system of the repositories, where root can make a folder for a moment
 * @throws Error with cause `{ code: 'unknown-borg', found, remedy }` where borg has what nothing here guards
 */
export const checkLauncher = async (python: string, launcher: string, folder: string): Promise<BoxState> => {
  const { stdout } = await execa(python, ['-I', launcher, '--check', folder], {
    ...{ stdin: 'ignore', cwd: '/', extendEnv: false },
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', BORG_BASE_DIR: '/nonexistent' },
  });
  const { box, unknown } = JSON.parse(stdout) as { readonly box: BoxState; readonly unknown: readonly string[] };
  if (unknown.length > 0)
    throw failure('this borg has what the server does not know, and what would be open to every client', {
      code: 'unknown-borg',
      found: unknown.join(', '),
      remedy: 'install a borg that README names, or a newer borgserver',
    });
  return box;
};

/** What the start, `status` and `doctor` say where there is no box. */
export const noBoxText = (why: string): string =>
  `borg is in no box of the kernel: ${why}; what borg opens is looked at instead (BOX)`;

/** What to do about it. */
export const NO_BOX_CURE =
  'run a kernel of 5.13 or newer with Landlock, and a container profile that allows its calls (Docker’s default does)';

/**
 * @throws Error with cause `{ code: 'no-box', found, remedy }`
 */
export const requireBox = (why: string): never => {
  throw failure('BOX=required, and the kernel has no box for borg', {
    code: 'no-box',
    found: why,
    remedy: NO_BOX_CURE,
  });
};
