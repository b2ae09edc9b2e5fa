import { existsSync } from 'node:fs';
import { findBorg } from '../borg/interpreter.ts';
import { launcherBelow, shippedLauncher } from '../borg/launcher.ts';
import type { Reach } from '../borg/reach.ts';
import type { BorgRun } from '../borg/run.ts';
import type { Places } from '../places.ts';
import type { Settings } from '../settings.ts';

export type Launcher = {
  /** With words for the launcher itself. */
  readonly command: (before: readonly string[]) => BorgRun['command'];
  readonly extra: Readonly<Record<string, string>>;
};

/**
 * borg through the launcher of the sessions, so that lock folders can be shared, and deleting a repository keeps its folder here,
 * too. For a session the launcher gets its words where the client asked for serve; here the server itself is the client.
 */
export const findLauncher = (places: Pick<Places, 'run'>): Launcher => {
  const { python } = findBorg();
  const installed = launcherBelow(places.run);
  const script = existsSync(installed) ? installed : shippedLauncher();
  return {
    command: (before) => [python, '-I', script, ...before, '--'],
    extra: { SSH_ORIGINAL_COMMAND: 'borg serve' },
  };
};

/** The launcher's words for the box of a borg that the server runs itself. root: of all repositories. base: see prepareBaseFolder. */
export const boxWords = (place: {
  readonly root: string;
  readonly repository: string;
  readonly base: string;
  readonly reach: Reach;
  readonly box: Settings['BOX'];
}): readonly string[] => [
  ...['--reach', place.reach, '--root', place.root, '--repository', place.repository],
  ...['--base', place.base, '--box', place.box],
];
