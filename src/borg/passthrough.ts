import { printable } from '../text/printable.ts';
import { COMMANDS, FAMILIES, wordsOfOption } from './commands.ts';

/** A former state of a repository: its path, and which one, as it was written (src/snapshots/named.ts reads it). */
export type Then = { readonly path: string; readonly name: string };

/**
 * The repository that was meant: its path below /repos, for example `web01` or `team/one`; or all repositories. `then`: what is meant if there is no
 * such repository, for example by `web01@7`.
 */
export type Meant = { readonly path: string; readonly then: Then | null } | 'all';

/** borg's words for a repository's folder; and BORG_REPO, where the words use that. */
export type Wording = (folder: string) => { readonly words: readonly string[]; readonly repository: string | null };

/** What the words of a borg command mean on this server. */
export type Passthrough =
  /** A command of borg that needs no repository, or is incomplete. borg itself explains that best. */
  | { readonly kind: 'no-repository' }
  | {
      readonly kind: 'repository';
      readonly command: string;
      readonly meant: Meant;
      /** Which word names the repository. Null: BORG_REPO does. */
      readonly at: number | null;
      /** `::ARCHIVE`, or nothing. */
      readonly archive: string;
    }
  | { readonly kind: 'refused'; readonly message: string };

const refused = (message: string): Passthrough => ({ kind: 'refused', message });

const EXAMPLES = 'for example: list web01, info web01::ARCHIVE, check --repository-only all, key export web01';

/**
 * Finds the repository in the words of a borg command (without `borg` itself). A bare name is a folder of /repos, and `all` is
 * every repository. A path elsewhere is refused. What follows the last @ of a path may name a snapshot.
 *
 * @param root the absolute path of /repos
 * @param borgRepo the variable BORG_REPO, which borg uses where the words name no repository
 */
export const parsePassthrough = (words: readonly string[], root: string, borgRepo: string | undefined): Passthrough => {
  const positional = positions(words);
  const [first, second] = positional.map((at) => words[at] ?? '');
  if (first === undefined) {
    return words.length === 0 ? refused(`which borg command? ${EXAMPLES}`) : { kind: 'no-repository' };
  }
  const family = FAMILIES.has(first);
  if (family && second === undefined) return { kind: 'no-repository' };
  const name = family ? `${first} ${second}` : first;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) return refused(`there is no command '${printable(name)}' here, nor in borg; ${EXAMPLES}`);
  switch (command.kind) {
    case 'no-repository':
      return command;
    case 'refused':
      return refused(`borg ${name} is not for this server: ${command.reason}`);
    case 'repository': {
      const at = positional[family ? 2 : 1];
      const given = at === undefined ? undefined : words[at];
      const fromVariable = given === undefined || given === '' || given.startsWith('::');
      const text = fromVariable ? `${borgRepo ?? ''}${given ?? ''}` : given;
      if (text === '' || text.startsWith('::')) return { kind: 'no-repository' };
      const location = parseLocation(text, root);
      if ('refusal' in location) return refused(location.refusal);
      if (location.meant === 'all' && !command.each) {
        return refused(`borg ${name} is not done to all repositories at once: name them one by one`);
      }
      return { kind: 'repository', command: name, ...location, at: given ? (at ?? null) : null };
    }
  }
};

/** The words for one repository, given the index that names it. */
export const wordsFor = (
  words: readonly string[],
  { at, archive }: { readonly at: number | null; readonly archive: string },
  path: string,
): readonly string[] => words.map((word, index) => (index === at ? `${path}${archive}` : word));

/** The positions of the first words that are neither an option nor its value: the command, perhaps a second part of it, the repository. */
const positions = (words: readonly string[]): readonly number[] => {
  const found: number[] = [];
  let options = true;
  for (let at = 0; at < words.length && found.length < 3; at += 1) {
    const word = words[at] ?? '';
    if (options && word === '--') options = false;
    else if (options && word.startsWith('-') && word !== '-')
      at += wordsOfOption(word, words[found[0] ?? -1] ?? '') - 1;
    else found.push(at);
  }
  return found;
};

/**
 * PATH@SNAPSHOT. A time has colons. Anything else that has some is on another host.
 */
const SNAPSHOT = /^(.*[^/])@([\dTZ:+-]+|[^@/:]*)\/*$/;

type Location = { readonly meant: Meant; readonly archive: string } | { readonly refusal: string };

/** Reads a location as borg does (borg/helpers/parseformat.py, Location). Only a local path has a meaning here. */
const parseLocation = (text: string, root: string): Location => {
  const local = text.startsWith('file://') ? text.slice('file://'.length) : text;
  const separator = local.indexOf('::');
  const path = separator < 0 ? local : local.slice(0, separator);
  const archive = separator < 0 ? '' : local.slice(separator);
  const shown = printable(path);
  const [, before = path, name] = SNAPSHOT.exec(path) ?? [];
  if (/^[a-z0-9]+:\/\//i.test(path) || before.includes(':')) {
    return { refusal: `'${shown}' is not on this server: only the repositories below ${root} are served from here` };
  }
  if (path === 'all') return { meant: 'all', archive };
  const inside = path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : path;
  if (inside.startsWith('/') && inside === path) {
    return { refusal: `'${shown}' is not below ${root}: only the repositories of this server are served from here` };
  }
  const parts = inside.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0) return { refusal: `'${shown}' is no repository: name one of those below it, or all` };
  // Braces are borg's placeholders: it would use another folder than the one that was checked.
  if (parts.some((part) => part === '..' || part.startsWith('.')) || /[{}\0]/.test(inside)) {
    return { refusal: `'${shown}' cannot be a repository of this server` };
  }
  if (before === 'all') return { refusal: `a snapshot is one of one repository: '${shown}' names none` };
  const whole = parts.join('/');
  const then = name === undefined ? null : { path: whole.slice(0, -name.length - 1), name };
  return { meant: { path: whole, then }, archive };
};
