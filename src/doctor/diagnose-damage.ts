import type { Damage } from '../borg/damage.ts';
import { quoted } from '../borg/serve-arguments.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { printable } from '../text/printable.ts';
import { type Diagnosis, error } from './diagnosis.ts';

/** Repositories that borg does not open, with the cure for each. */
export const diagnoseDamage = (surveyed: readonly Surveyed[]): readonly Diagnosis[] =>
  surveyed.flatMap(({ path, damage }) =>
    damage ? [error('repositories', `${printable(path)} is damaged: ${damage.text}`, cureOf(path, damage))] : [],
  );

const cureOf = (path: string, { kind }: Damage): string => {
  switch (kind) {
    case 'config-kept':
      return `borgserver repair ${quoted(path)} config`;
    case 'integrity':
      return `borgserver repair ${quoted(path)} integrity`;
    case 'closed':
      return 'borgserver doctor --fix';
    case 'config':
      return 'put its file config back from a copy of the disk, then: borgserver doctor --fix. Without a copy: docs/operations.md ("A repository that borg does not open")';
    case 'key':
      return `put its file config back from a copy of the disk, then: borgserver doctor --fix. Or, with an export of the key: borgserver borg key import ${quoted(path)} - <EXPORT`;
    case 'data':
      return 'put its folder data back from a copy of the disk, then: borgserver doctor --fix. Without a copy remove what is left in the folder: the client then begins anew with borg init';
  }
};
