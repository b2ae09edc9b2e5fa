import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { failure } from '../failure.ts';

/**
 * A file that is shipped with the program: beside the bundle, or in image/ of the project.
 *
 * @throws Error with cause `{ code: 'not-shipped', path, name }`
 */
export const shippedFile = (name: string): string => {
  const own = dirname(realpathSync(process.argv[1] ?? '/'));
  const found = [join(own, name), join(own, '../image', name)].find((path) => existsSync(path));
  if (!found) throw failure(`${name} is not beside the program`, { code: 'not-shipped', path: own, name });
  return found;
};
