import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { execa } from 'execa';

/**
 * Files that show whether borg or its interpreter on disk is still what a process has loaded: an upgraded package changes some of them.
 * Borg itself is not loaded for this.
 *
 * @param python borg's interpreter
 * @returns absolute paths; only the interpreter's where it does not say more
 */
export const loadedFiles = async (python: string): Promise<readonly string[]> => {
  const { stdout, exitCode } = await execa(python, ['-I', '-c', WHERE], { reject: false, stdin: 'ignore', cwd: '/' });
  const borg = exitCode === 0 && isAbsolute(stdout) ? dirname(stdout.trim()) : null;
  const own = realpathSync(python);
  if (borg === null) return [own];
  return [own, borg, ...NAMES.map((name) => join(borg, name))];
};

const WHERE = "import importlib.util; print(importlib.util.find_spec('borg').origin)";

/** Its version, what a session consists of, and the folders of its compiled modules. */
const NAMES = ['__init__.py', '_version.py', 'remote.py', 'repository.py', 'algorithms', 'crypto', 'platform'];
