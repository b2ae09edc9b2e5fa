import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { execa } from 'execa';
import { failure } from '../failure.ts';
import { remedyOf } from '../host/remedy.ts';
import { shippedFile } from '../host/shipped.ts';
import { writeFileAtomically } from '../host/write.ts';

/** The program that sshd's forced command starts, and the folder of its modules beside it. */
const PROGRAM = 'borg-serve';
const HOST = 'session-host';
const MODULES = 'launcher';

/** Where the launcher of a server that has started is: tenants run it, and the program's own folder may be closed to them. */
export const launcherBelow = (run: string): string => join(run, PROGRAM);

/** The same with borg loaded, for many sessions: it has the launcher's modules beside it, too. */
export const sessionHostBelow = (run: string): string => join(run, HOST);

/**
 * The launcher as it was shipped.
 *
 * @throws what shippedFile throws
 */
export const shippedLauncher = (): string => shippedFile(PROGRAM);

/**
 * Puts the launcher below the run folder, root's and readable for all, its modules compiled: else each session would compile
 * them anew.
 *
 * @param python borg's interpreter
 * @returns the path of the program
 * @throws what shippedLauncher throws, and the system's errors
 */
export const installLauncher = async (run: string, python: string, source = shippedLauncher()): Promise<string> => {
  const from = join(dirname(source), MODULES);
  const to = join(run, MODULES);
  rmSync(to, { recursive: true, force: true });
  copyModules(from, to);
  await compile(python, to);
  const target = launcherBelow(run);
  writeFileAtomically(target, readFileSync(source), { mode: 0o644 });
  writeFileAtomically(sessionHostBelow(run), readFileSync(join(dirname(source), HOST)), { mode: 0o644 });
  return target;
};

/** Nothing of the source's owners and modes. */
const copyModules = (from: string, to: string): void => {
  mkdirSync(to);
  chmodSync(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const { name } = entry;
    if (entry.isDirectory() && name !== '__pycache__') copyModules(join(from, name), join(to, name));
    else if (name.endsWith('.py')) writeFileAtomically(join(to, name), readFileSync(join(from, name)), { mode: 0o644 });
  }
};

const compile = async (python: string, folder: string): Promise<void> => {
  const { exitCode, all } = await execa(python, ['-I', '-c', COMPILE, folder], {
    ...({ reject: false, stdin: 'ignore', all: true } as const),
  });
  if (exitCode === 0) return;
  // Python ends with the system's own number: OSError: [Errno 28] No space left on device
  const [said = '', number] = /\[Errno (\d+)\] .*/.exec(all) ?? [all.trim()];
  const code = number === undefined ? null : getSystemErrorName(-Number(number));
  throw failure('the launcher could not be compiled', {
    code: 'unwritable',
    file: join(folder, '__pycache__'),
    found: `${code}: ${said}`,
    remedy: remedyOf(code),
  });
};

/** What it writes is for tenants to read, whatever the umask of whoever starts the server. */
const COMPILE =
  'import compileall, os, sys; os.umask(0o022); sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1))';
