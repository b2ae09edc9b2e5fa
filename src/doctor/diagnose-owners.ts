import { join } from 'node:path';
import { type Owner, REPOSITORY_MODE } from '../accounts/repository-folder.ts';
import { quoted } from '../borg/serve-arguments.ts';
import type { ServerStatus } from '../control/server-status.ts';
import { failureInOneLine } from '../failure.ts';
import type { Places } from '../places.ts';
import { type ForeignEntries, findForeignEntries, findForeignOwners } from '../repositories/foreign-entries.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { firstOf, plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { lookForRights } from './diagnose-rights.ts';
import { type Diagnosis, error, ok, warning } from './diagnosis.ts';

/** A repository whose whole folder is not as its owner needs it. `name`: of the folder, directly below /repos. */
export type Broken = { readonly name: string; readonly owner: Owner; readonly why: string };

const FIX = 'borgserver doctor --fix';

type Accounts = Pick<ServerStatus, 'accounts' | 'puid' | 'pgid'> & Partial<Pick<ServerStatus, 'identities'>>;

/**
 * Looks through the files of every repository.
 *
 * @param looked called before each folder
 */
export const findBroken = async (
  places: Places,
  { accounts, puid, pgid, identities }: Accounts,
  surveyed: readonly Surveyed[],
  looked: (name: string) => void,
): Promise<{ readonly broken: readonly Broken[]; readonly lines: readonly Diagnosis[] }> => {
  const byName = new Map(accounts.filter(({ role }) => role !== 'admin').map((each) => [each.name, each]));
  const broken: Broken[] = [];
  const top = surveyed.filter(({ nested, state }) => !nested && state !== null);
  const { rights, lines } = await lookForRights(places, top);
  const lookAt = async ({ folder, path, state }: Surveyed): Promise<void> => {
    const account = byName.get(folder.name);
    const place = join(places.repos, folder.name);
    if (account) {
      const gid = identities === 'shared' ? pgid : account.uid;
      const why =
        (await whatIsBroken(place, folder, { uid: account.uid, gid }, { puid, pgid })) ??
        rights.get(folder.name) ??
        null;
      if (why !== null) broken.push({ name: folder.name, owner: { uid: account.uid, gid }, why });
    } else if (folder.uid === 0 && isNoRepository(state)) {
      // What root has put there was never an account's.
      const what = `${printable(path)} is no repository, and belongs to root`;
      lines.push(warning('owners', what, 'move it away, if it is not meant to be there'));
    } else if (folder.uid === puid || folder.uid === 0) {
      const foreign = await findForeignOwners(place, puid, pgid);
      const closed =
        folder.uid === puid && (folder.mode & 0o700) === folder.mode ? 'the folder is closed to the admins' : null;
      const why = foreign.count > 0 ? foreignText(foreign) : (rights.get(folder.name) ?? closed);
      if (why === null) return;
      if (folder.uid === puid && !isNoRepository(state))
        broken.push({ name: folder.name, owner: { uid: puid, gid: pgid }, why });
      // It may be no repository at all: a person decides. What snapshots share stays root's.
      else
        lines.push(
          error(
            'owners',
            `${printable(path)}: ${why}`,
            `find ${quoted(place)} -xdev ! '(' -type f -uid 0 -perm 0440 ')' -exec chown -h ${puid}:${pgid} {} +`,
          ),
        );
    }
  };
  let unknown = 0;
  for (const each of top) {
    looked(printable(each.path));
    try {
      await lookAt(each);
    } catch (failure) {
      // One folder may go while it is looked at, or hold more than can be looked through. The others are looked at all the same.
      unknown += byName.has(each.folder.name) ? 1 : 0;
      const what = `${printable(each.path)} could not be looked through: ${printable(failureInOneLine(failure))}`;
      lines.push(error('owners', what, 'see what is in it'));
    }
  }
  const right = byName.size - broken.filter(({ name }) => byName.has(name)).length - unknown;
  return {
    broken,
    lines: [
      ...(right > 0
        ? [
            ok(
              'owners',
              `${plural(right, 'repository belongs to its account', 'repositories belong to their accounts')}, down to every file`,
            ),
          ]
        : []),
      ...broken.map(({ name, why }) => error('owners', `${printable(name)}: ${why}`, FIX)),
      ...lines,
    ],
  };
};

/** Neither a repository nor a folder that holds some. */
const isNoRepository = (state: Surveyed['state']): boolean =>
  state?.kind === 'empty' || (state?.kind === 'foreign' && state.nested.length === 0);

const whatIsBroken = async (
  place: string,
  { uid, gid, mode }: Surveyed['folder'],
  owner: Owner,
  { puid, pgid }: Pick<Accounts, 'puid' | 'pgid'>,
): Promise<string | null> => {
  if (uid !== owner.uid || gid !== owner.gid) return `the folder belongs to ${uid}:${gid}, not to ${owner.uid}`;
  if (mode !== REPOSITORY_MODE) return `the folder has mode ${mode.toString(8)}, not ${REPOSITORY_MODE.toString(8)}`;
  const shared = owner.uid === puid;
  const foreign = shared
    ? await findForeignOwners(place, puid, pgid)
    : await findForeignEntries(place, owner.uid, puid);
  return foreign.count === 0 ? null : foreignText(foreign);
};

const foreignText = ({ count, roots, examples }: ForeignEntries): string =>
  `${plural(count, 'entry is', 'entries are')} not its own or closed to it${roots > 0 ? `, ${roots} of them root's` : ''}: ${firstOf(examples, examples.length, count)}`;
