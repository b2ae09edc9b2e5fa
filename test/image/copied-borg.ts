import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { findBorg } from '../../src/borg/interpreter.ts';
import { loadedFiles } from '../../src/borg/loaded-files.ts';

export type CopiedBorg = {
  /** An interpreter that finds this borg. Everything else it finds where the machine's interpreter does. */
  readonly python: string;
  readonly version: string;
  /** Writes another version over it, as a package manager does: file by file, each in the place of the old one. */
  readonly upgrade: (version: string) => void;
  /** Makes all of its modules impossible to load, as if the package were half unpacked. */
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
  // The packages that borg needs stay where they are.
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
