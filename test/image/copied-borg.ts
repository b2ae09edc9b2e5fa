import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { findBorg } from '../../src/borg/interpreter.ts';
import { loadedFiles } from '../../src/borg/loaded-files.ts';

export type CopiedBorg = {
  /** An interpreter that finds this borg, and else what the machine's finds. */
  readonly python: string;
  readonly version: string;
  /** Writes another version over it, file by file, as a package manager does: each takes the place of the old one. */
  readonly upgrade: (version: string) => void;
  /** None of its modules can be loaded any more, as when it is half unpacked. */
  readonly break: () => void;
};

/** A copy of the machine's borg in a virtual environment (PEP 405) in this folder. */
export const copyBorg = async (folder: string): Promise<CopiedBorg> => {
  const machine = findBorg().python;
  const original = (await loadedFiles(machine)).find((path) => basename(path) === 'borg') ?? '';
  const python = join(folder, 'bin/python3');
  const borg = join(folder, 'lib', library(machine), 'site-packages/borg');
  mkdirSync(join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'pyvenv.cfg'), `home = ${dirname(machine)}\ninclude-system-site-packages = true\n`);
  symlinkSync(machine, python);
  cpSync(original, borg, { recursive: true, filter: (path) => basename(path) !== '__pycache__' });
  // What borg itself needs is where it was.
  writeFileSync(join(borg, '../original.pth'), `${dirname(original)}\n`);
  const replace = (file: string, text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const modules = readdirSync(borg, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.py'));
  const texts = new Map(modules.map((name) => [join(borg, name), readFileSync(join(borg, name), 'utf8')]));
  const versionFile = join(borg, '_version.py');
  return {
    python,
    version: /'([\d.]+)'/.exec(texts.get(versionFile) ?? '')?.[1] ?? '',
    upgrade: (version) => {
      for (const [file, text] of texts) replace(file, file === versionFile ? `version = '${version}'\n` : text);
    },
    break: () => {
      for (const file of texts.keys()) replace(file, 'raise ImportError("this borg is being installed")\n');
    },
  };
};

const library = (python: string): string =>
  execFileSync(python, ['-I', '-c', 'import sys; print("python%d.%d" % sys.version_info[:2], end="")'], {
    encoding: 'utf8',
  });
