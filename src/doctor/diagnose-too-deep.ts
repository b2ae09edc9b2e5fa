import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { quoted, shellQuote } from '../borg/serve-arguments.ts';
import type { ServerStatus } from '../control/server-status.ts';
import type { Places } from '../places.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { inFolder } from '../system/folder-handle.ts';
import { firstOf } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { type Diagnosis, error } from './diagnosis.ts';

/**
 * Accounts of one repository whose folder is no repository but holds one: `mv old /repos/web01` does this where the folder was there
 * already. Then no backup is possible. The cure is one command, to be typed as it is.
 */
export const diagnoseTooDeep = (
  { repos }: Pick<Places, 'repos'>,
  { accounts }: Pick<ServerStatus, 'accounts'>,
  surveyed: readonly Surveyed[],
): readonly Diagnosis[] => {
  const single = new Set(
    accounts.filter(({ role, subRepositories }) => role !== 'admin' && !subRepositories).map(({ name }) => name),
  );
  const taken = new Set(surveyed.map(({ path }) => path));
  return surveyed.flatMap(({ path, nested, state }) => {
    const [first, ...others] = state?.kind === 'foreign' ? state.nested : [];
    if (nested || first === undefined || !single.has(path)) return [];
    const shown = firstOf(
      [first, ...others].map((name) => printable(join(path, name), 100)),
      MOST_NAMES,
    );
    const many = others.length > 0;
    return [
      error(
        'repositories',
        `${printable(path)} was never initialised: ${many ? 'repositories lie' : `a repository lies ${levelsText(first)}`} too deep, in ${shown}`,
        `${many ? 'the first of them goes up by: ' : ''}${cureOf(repos, path, first, taken)}${many ? '; if all are meant, write "# borgserver: sub-repositories=yes" into the key file instead' : ''}`,
      ),
    ];
  });
};

/** How many levels too deep it lies. @param inside its path below the folder of its account */
export const levelsText = (inside: string): string => {
  const levels = inside.split('/').length;
  return levels === 1 ? 'one level' : `${levels} levels`;
};

const MOST_NAMES = 5;

/**
 * What moves the repository to the account's place, and hands it over. A rename replaces an empty folder in one step, so the key
 * file may stay where it is: the account's folder is never missing, except where other things have to be moved away first.
 */
const cureOf = (repos: string, name: string, inside: string, taken: ReadonlySet<string>): string => {
  const top = join(repos, name);
  const from = join(top, inside);
  const free = (suffix: string): string => {
    for (let count = 0; ; count += 1) {
      const candidate = `${name}.${suffix}${count === 0 ? '' : count}`;
      if (!taken.has(candidate)) return quoted(join(repos, candidate));
    }
  };
  const move = (a: string, b: string): string => `mv -T ${a} ${b}`;
  if (isMount(repos, top)) {
    // No rename leads out of a mount, or to the place of one.
    const entries = below(top, join(inside, '*'), `mv -n -t ${quoted(top)} {} +`);
    return inShell([entries, `rmdir ${quoted(from)}`]);
  }
  if (!inside.includes('/') && isAlone(top)) {
    const aside = free('up');
    return inShell([move(quoted(from), aside), move(aside, quoted(top))]);
  }
  const aside = free('old');
  if (!inside.includes('/'))
    return inShell([move(quoted(top), aside), move(`${aside}/${quoted(inside)}`, quoted(top))]);
  return inShell([
    move(quoted(top), aside),
    below(aside, inside, `mv -T {} ${quoted(top)} ';'`),
    `test -d ${quoted(top)}`,
  ]);
};

/**
 * A command on what lies there that goes through no link. The account may replace one of the folders in between by a link to somebody
 * else's folder, and mv(1) would follow it if it got the whole path.
 *
 * @param folder quoted for a shell
 * @param pattern below it: names, and `*` for the last
 */
const below = (folder: string, pattern: string, command: string): string => {
  const parts = pattern.split('/');
  const names = parts.map((part) => (part === '*' ? part : printable(part).replace(/[\\*?[\]]/g, '\\$&'))).join('/');
  const depth = `-mindepth ${parts.length} -maxdepth ${parts.length}`;
  return `find ${folder} ${depth} -path ${folder}/${shellQuote(names)} -execdir ${command}`;
};

/** One word for `docker exec`, too. */
const inShell = (commands: readonly string[]): string =>
  `sh -c ${shellQuote([...commands, 'update-borgusers'].join(' && '))}`;

const isMount = (repos: string, top: string): boolean => lstatSync(repos).dev !== lstatSync(top).dev;

/** Whether nothing else is in the folder. */
const isAlone = (top: string): boolean => inFolder(top, (folder) => folder.someEntries(2).length) === 1;
