import { join } from 'node:path';
import { failureInOneLine } from '../failure.ts';
import type { Places } from '../places.ts';
import { type ExtendedRights, findExtendedRights } from '../repositories/extended-rights.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { firstOf, plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { type Diagnosis, warning } from './diagnosis.ts';

/** The rights that ACLs give to others, in words, by the folder's name. */
export const lookForRights = async (
  { repos }: Places,
  top: readonly Surveyed[],
): Promise<{ readonly rights: ReadonlyMap<string, string>; readonly lines: Diagnosis[] }> => {
  const rights = new Map<string, string>();
  const lines: Diagnosis[] = [];
  try {
    const found = await findExtendedRights(top.map(({ folder }) => join(repos, folder.name)));
    for (const [index, each] of found.entries()) {
      const name = top[index]?.folder.name;
      if (name !== undefined && each && each.count > 0) rights.set(name, rightsText(each));
      if (name !== undefined && each === null)
        lines.push(warning('owners', `${printable(name)} could not be looked through for ACLs`, 'see what is in it'));
    }
    return { rights, lines };
  } catch (failure) {
    const why = `ACLs could not be looked for: ${printable(failureInOneLine(failure))}`;
    return { rights, lines: [warning('owners', why, 'see that python3 can be run')] };
  }
};

const rightsText = ({ count, examples }: ExtendedRights): string =>
  `${plural(count, 'entry gives', 'entries give')} rights to others by an ACL or a capability: ${firstOf(examples, examples.length, count)}`;
