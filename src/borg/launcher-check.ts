import { execa } from 'execa';
import { failure } from '../failure.ts';
import { type Borg, broken } from './interpreter.ts';
import { notCompiled } from './launcher.ts';

/** Whether the kernel has a box for each borg (landlock(7)). Null: it has, and a box was tried and holds. Else the reason why not, printable. */
export type BoxState = string | null;

/** What there is to know of borg and the kernel before anybody may log in. */
export type CheckedBorg = {
  /** 1.4.0 */
  readonly version: string;
  readonly box: BoxState;
};

/** The exit codes of image/launcher/compiled.py and start_check.py. */
const CANNOT_WRITE = 73;
const SELF_TEST_FAILED = 70;

/**
 * Runs borg's self-test, which the sessions leave out, and asks the launcher two things: whether a box of the kernel holds here (it tries one),
 * and whether it knows this borg. Before that, what is not compiled yet of the launcher is compiled.
 *
 * @param launcher where copyLauncher has put it
 * @param folder on the file system of the repositories, where root can make a folder for a moment
 * @throws Error with cause `{ code, found, remedy }`: code is 'wrong-borg' (not borg 1.2 or a later 1.x), 'borg-self-test' (it failed),
 *   'unknown-borg' (borg has something that nothing here guards) or 'unwritable'
 */
export const checkBorg = async ({ path, python }: Borg, launcher: string, folder: string): Promise<CheckedBorg> => {
  const result = await execa(python, ['-I', '-B', launcher, '--check', path, folder], {
    ...({ reject: false, stdin: 'ignore', cwd: '/', extendEnv: false } as const),
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', BORG_BASE_DIR: '/nonexistent' },
  });
  const { exitCode, stderr } = result;
  if (exitCode === CANNOT_WRITE) throw notCompiled(launcher, stderr);
  const [version = '', said = ''] = result.stdout.split('\n').map((line) => line.trim());
  if (!/^1\.(?!0|1\b)\d+\.\d/.test(version)) {
    throw broken('wrong-borg', version || lastLine(stderr) || 'no answer', 'install borg 1.2 or 1.4');
  }
  if (exitCode === SELF_TEST_FAILED) {
    throw broken('borg-self-test', lastLine(stderr), `install borg ${version} again, or check the hardware`);
  }
  // It could not do its work at all, for example because the disk fails.
  if (exitCode !== 0) throw result;
  const { box, unknown } = JSON.parse(said) as { readonly box: BoxState; readonly unknown: readonly string[] };
  if (unknown.length > 0)
    throw failure('this borg has functions that the server does not know, and every client could use them', {
      code: 'unknown-borg',
      found: unknown.join(', '),
      remedy: 'install a borg that docs/image.md ("Which borg") names, or a newer borgserver',
    });
  return { version, box };
};

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

/** What the start, `status` and `doctor` say where there is no box. */
export const noBoxText = (why: string): string =>
  `borg is in no box of the kernel: ${why}; instead the launcher checks what borg opens (BOX)`;

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
