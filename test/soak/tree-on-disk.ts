import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ROLE_FOLDERS, ROLES, type Role } from '../../src/accounts/role.ts';
import { changedPaths } from './edits.ts';
import { placeOf, renderFile, type Tree } from './key-tree.ts';
import type { Step } from './model.ts';
import type { Scene } from './scene.ts';

type EditStep = Extract<Step, { kind: 'edit' }>;

/** Where a role folder is while it is out of the server's sight. It is on the same file system, so that one step moves it. */
const aside = ({ server }: Scene, role: Role): string => join(dirname(server.sshkeys), 'aside', ROLE_FOLDERS[role]);

const placeOnDisk = (scene: Scene, tree: Tree, path: string): string => {
  const { role, entry } = placeOf(path);
  return tree.hidden.has(role) ? join(aside(scene, role), entry) : join(scene.server.sshkeys, path);
};

/** Makes the folders on disk what the step says, without a pause: the server may look in between, but not for long. */
export const writeEdit = (scene: Scene, before: Tree, step: EditStep): void => {
  const { tree, moved, manner } = step;
  if (moved) renameSync(placeOnDisk(scene, before, moved.from), placeOnDisk(scene, before, moved.to));
  const publicLines = scene.keys.map((key) => key.public);
  for (const path of changedPaths(before, tree)) {
    if (moved && (path === moved.from || path === moved.to)) continue;
    const file = tree.files.get(path);
    const place = placeOnDisk(scene, before, path);
    if (!file) rmSync(place);
    else if (manner === 'renamed') writeBeside(place, renderFile(file, publicLines));
    else writeInPlace(place, renderFile(file, publicLines));
  }
  for (const role of ROLES) {
    if (before.hidden.has(role) !== tree.hidden.has(role)) moveFolder(scene, role, tree.hidden.has(role));
  }
};

/** Takes a role folder out of the server's sight, or brings it back. */
export const moveFolder = (scene: Scene, role: Role, away: boolean): void => {
  const [seen, unseen] = [join(scene.server.sshkeys, ROLE_FOLDERS[role]), aside(scene, role)];
  mkdirSync(dirname(unseen), { recursive: true });
  renameSync(away ? seen : unseen, away ? unseen : seen);
};

/** Long enough to be seen (a removal is reported after 100 ms), and shorter than the 200 ms for which a loss has to last. */
const FLAP_MS = 140;

/**
 * Takes a key file away and puts it back soon.
 *
 * @returns milliseconds for which it was away. On a busy machine these are more than meant
 */
export const flap = async (scene: Scene, path: string): Promise<number> => {
  const place = join(scene.server.sshkeys, path);
  const text = readFileSync(place);
  const begun = performance.now();
  rmSync(place);
  await setTimeout(FLAP_MS);
  writeFileSync(place, text);
  return performance.now() - begun;
};

const writeBeside = (place: string, text: string): void => {
  const draft = join(dirname(place), '.draft');
  writeFileSync(draft, text);
  renameSync(draft, place);
};

/** Writes as `cp` and editors do: first the file is empty, then it is written in two pieces that cut a line. */
const writeInPlace = (place: string, text: string): void => {
  const file = openSync(place, 'a');
  ftruncateSync(file);
  const half = text.length >> 1;
  writeSync(file, text.slice(0, half));
  writeSync(file, text.slice(half));
  closeSync(file);
};
