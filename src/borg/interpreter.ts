import { openSync, readSync, realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { execa } from 'execa';
import { type FailureCode, failure } from '../failure.ts';
import { closing } from '../system/open.ts';
import { findProgram, searchFolders } from '../system/path.ts';

export type Borg = {
  /** The program as PATH finds it. */
  readonly path: string;
  /** 1.4.0 */
  readonly version: string;
  /** The interpreter that borg is installed for: in it `import borg` finds this very version. */
  readonly python: string;
};

/**
 * Finds borg and its interpreter, and runs borg's self-test, which the sessions leave out.
 *
 * @param search where to look, as in PATH
 * @throws Error with cause `{ code, found, remedy }`: code is 'no-borg', 'wrong-borg' (not borg 1.2 or a later 1.x),
 * 'no-borg-interpreter' (a program that is not a Python script) or 'borg-self-test' (it failed)
 */
export const checkBorg = async (search = process.env.PATH ?? ''): Promise<Borg> => {
  const { path, python } = findBorg(search);
  const { stdout, stderr, exitCode } = await run(python, ['-I', '-c', CHECK, path]);
  const version = stdout.split('\n')[0]?.trim() ?? '';
  if (!/^1\.(?!0|1\b)\d+\.\d/.test(version)) {
    throw broken('wrong-borg', version || lastLine(stderr) || 'no answer', 'install borg 1.2 or 1.4');
  }
  if (exitCode !== 0) {
    throw broken('borg-self-test', lastLine(stderr), `install borg ${version} anew, or check the hardware`);
  }
  return { path, version, python };
};

/**
 * Finds borg and its interpreter, and runs neither: for one command, where the server has checked both.
 *
 * @throws Error with cause `{ code, found, remedy }`: 'no-borg' or 'no-borg-interpreter'
 */
export const findBorg = (search = process.env.PATH ?? ''): Omit<Borg, 'version'> => {
  const folders = searchFolders(search);
  const path = findProgram('borg', folders);
  if (!path) throw broken('no-borg', 'there is no borg on the PATH', 'install borgbackup');
  return { path, python: interpreterOf(path, folders) };
};

/** Both in one process: what costs most is to load borg. */
const CHECK = `
import runpy, sys
import borg, borg.archiver
print(borg.__version__, flush=True)
sys.argv = [sys.argv[1], 'serve']
runpy.run_path(sys.argv[0], run_name='__main__')`;

/** As a session runs it, without a repository: with its input at an end borg serve ends too, after the self-test. */
const run = (file: string, args: readonly string[]) =>
  execa(file, args, {
    reject: false,
    stdin: 'ignore',
    cwd: '/',
    extendEnv: false,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', BORG_BASE_DIR: '/nonexistent' },
  });

const broken = (code: FailureCode, found: string, remedy: string): Error =>
  failure('borg cannot be used', { code, found, remedy });

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

/** Reads the first line as the kernel does (execve(2), "Interpreter scripts"), with the two detours that installers take. */
const interpreterOf = (program: string, folders: readonly string[]): string => {
  const [first = '', second = ''] = beginning(realpathSync(program)).split('\n');
  const [command = '', ...args] = first.startsWith('#!')
    ? first
        .slice(2)
        .trim()
        .split(/[ \t]+/)
    : [];
  const python = command.endsWith('/env')
    ? findProgram(args.find((word) => !word.startsWith('-')) ?? '', folders)
    : // pip, where the path is too long for a first line or has a space in it: '''exec' "/long/path/python" "$0" "$@"
      command.endsWith('/sh')
      ? /^'''exec' ("?)(\/[^"]+?)\1 "\$0"/.exec(second)?.[2]
      : command;
  if (!python || !isAbsolute(python) || !/python/.test(python)) {
    const found = first.startsWith('#!') ? first.slice(0, 200) : `${program} is not a script`;
    throw broken('no-borg-interpreter', found, 'install borg as a Python package (apt or pip), not as a single binary');
  }
  return python;
};

const beginning = (path: string): string =>
  closing(openSync(path, 'r'), (file) => {
    const bytes = Buffer.alloc(4096);
    return bytes.toString('latin1', 0, readSync(file, bytes));
  });
