import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** The folders of a search path. Relative ones are left out, and so is an empty one: they would mean the working directory. */
export const searchFolders = (search: string): readonly string[] => search.split(delimiter).filter(isAbsolute);

/** The first of the folders that has the program, as execvp(3) looks for it; null: none has. */
export const findProgram = (name: string, folders: readonly string[]): string | null =>
  folders.map((folder) => join(folder, name)).find(isProgram) ?? null;

/** Whether this process may run what is at the path. */
export const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};
