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

/** Where the launcher is after the server's start. Tenants run it, and the program's own folder may be closed to them. */
export const launcherBelow = (run: string): string => join(run, PROGRAM);

/** The same with borg loaded, for many sessions. It has the launcher's modules beside it, too. */
export const sessionHostBelow = (run: string): string => join(run, HOST);

/**
 * The launcher as it was shipped.
 *
 * @throws what shippedFile throws
 */
export const shippedLauncher = (): string => shippedFile(PROGRAM);

/**
 * Puts the launcher below the run folder, root's and readable for all, with what was shipped compiled of it.
 *
 * @returns the path of the program
 * @throws what shippedLauncher throws, and Error with cause `{ code: 'unwritable', file, found, remedy }`
 */
export const copyLauncher = (run: string, source = shippedLauncher()): string => {
  const to = join(run, MODULES);
  rmSync(to, { recursive: true, force: true });
  copyModules(join(dirname(source), MODULES), to);
  const target = launcherBelow(run);
  writeFileAtomically(target, readFileSync(source), { mode: 0o644 });
  writeFileAtomically(sessionHostBelow(run), readFileSync(join(dirname(source), HOST)), { mode: 0o644 });
  return target;
};

/**
 * The same, and compiles what was not shipped compiled, or by another Python (image/launcher/compiled.py).
 *
 * @param python borg's interpreter
 * @returns the path of the program
 * @throws what copyLauncher throws, and 'unwritable'
 */
export const installLauncher = async (run: string, python: string, source = shippedLauncher()): Promise<string> => {
  const launcher = copyLauncher(run, source);
  const options = { reject: false, stdin: 'ignore' } as const;
  const { exitCode, stderr } = await execa(python, ['-I', '-B', launcher, '--compile'], options);
  if (exitCode !== 0) throw notCompiled(launcher, stderr);
  return launcher;
};

/** Nothing of the source's owners and modes. What is compiled says of which source it is, and is compared whenever it is loaded. */
const copyModules = (from: string, to: string): void => {
  mkdirSync(to);
  chmodSync(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const { name } = entry;
    if (entry.isDirectory()) copyModules(join(from, name), join(to, name));
    else if (/\.pyc?$/.test(name)) writeFileAtomically(join(to, name), readFileSync(join(from, name)), { mode: 0o644 });
  }
};

/** @param said Python's error: [Errno 28] No space left on device: '/run/…' */
export const notCompiled = (launcher: string, said: string): Error => {
  const [found = said.trim(), number] = /\[Errno (\d+)\] .*/.exec(said) ?? [];
  const code = number === undefined ? null : getSystemErrorName(-Number(number));
  return failure('the launcher could not be compiled', {
    code: 'unwritable',
    file: join(dirname(launcher), MODULES, '__pycache__'),
    found: code === null ? found : `${code}: ${found}`,
    remedy: remedyOf(code),
  });
};
