import { openSync, readSync, realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { type FailureCode, failure } from '../failure.ts';
import { closing } from '../system/open.ts';
import { findProgram, searchFolders } from '../system/path.ts';

export type Borg = {
  /** The program that PATH finds. */
  readonly path: string;
  /** The interpreter that borg is installed for: in it `import borg` finds this very version. */
  readonly python: string;
};

/**
 * Finds borg and its interpreter, and runs neither.
 *
 * @param search where to look, as in PATH
 * @throws Error with cause `{ code, found, remedy }`: code is 'no-borg', or 'no-borg-interpreter' (a program that is not a Python script)
 */
export const findBorg = (search = process.env.PATH ?? ''): Borg => {
  const folders = searchFolders(search);
  const path = findProgram('borg', folders);
  if (!path) throw broken('no-borg', 'there is no borg on the PATH', 'install borgbackup');
  return { path, python: interpreterOf(path, folders) };
};

/** Why there is no server without it. */
export const broken = (code: FailureCode, found: string, remedy: string): Error =>
  failure('borg cannot be used', { code, found, remedy });

/** Reads the first line as the kernel does (execve(2), "Interpreter scripts"), and also the two forms that installers write instead. */
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
