import { chmodSync, cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const IMAGE = join(import.meta.dirname, '../../image');

/** A place in the launcher: its file, what stands there, and what is put there. */
export type Change = readonly [file: string, from: string, to: string];

/** What protects other repositories from a session. Each is taken out as if nobody had written it. */
export const WALLS = {
  /** The kernel's box: it is made, but restricts nothing. */
  box: [['launcher/box.py', 'call(RESTRICT_SELF', '(lambda *_: None)(RESTRICT_SELF']],
  /** The check of every entry, before it is opened and once it is open. */
  entries: [
    ['launcher/entries.py', '    own = os.fstat(repository)\n', '    return\n'],
    ['launcher/entries.py', '    def open_inside(', '    return\n    def open_inside('],
  ],
  /** borg's own restriction, and the rule about names that begin with a dot. */
  restriction: [
    [
      'launcher/guards/paths.py',
      'resolved = super()._resolve_path(path)',
      'self.restrict_to_paths = self.restrict_to_repositories = None; return super()._resolve_path(path)',
    ],
    ['launcher/confinement.py', 'if self.inside != which:', 'if False:'],
  ],
} satisfies Readonly<Record<string, readonly Change[]>>;

/**
 * A copy of the launcher in which something is changed.
 *
 * @param folder where the copy is made
 * @returns the path of its program
 * @throws Error if the text to be changed is not there exactly once: the launcher has changed, and this file must follow
 */
export const launcherWith = (folder: string, ...changes: readonly Change[]): string => {
  const copy = mkdtempSync(join(folder, 'image-'));
  chmodSync(copy, 0o755);
  cpSync(IMAGE, copy, { recursive: true });
  for (const [file, from, to] of changes) {
    const parts = readFileSync(join(copy, file), 'utf8').split(from);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${from}`);
    writeFileSync(join(copy, file), parts.join(to));
  }
  return join(copy, 'borg-serve');
};

/** The same without some of the walls. */
export const launcherWithout = (folder: string, ...walls: readonly (keyof typeof WALLS)[]): string =>
  launcherWith(folder, ...walls.flatMap((wall): readonly Change[] => WALLS[wall]));
