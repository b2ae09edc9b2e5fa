import { type Access, admits, reaches } from './access.ts';
import type { Card } from './deck.ts';
import { type Dice, pick } from './dice.ts';
import { chooseEdit, contradictions, type Edit } from './edits.ts';
import { filesOf, KEYS, NAMES, placeOf, STRANGER, withFile } from './key-tree.ts';
import type { Login, Model, Step, Watch } from './model.ts';

const watchOf = (dice: Dice): Watch => (dice(3) === 0 ? 'polling' : 'events');

const SLACK_MS = 20_000;
const MOST_SESSIONS = 4;

/**
 * Makes a step of a card; null where it has no place now.
 *
 * @param now milliseconds since the epoch
 */
export const chooseStep = (card: Card, model: Model, dice: Dice, now: number, number: number): Step | null => {
  const archive = `archive-${number}`;
  switch (card) {
    case 'flap':
      return flapping(model, dice);
    case 'borg':
      return allowed(model, dice, now, archive);
    case 'trespass':
      return trespass(model, dice, now, archive);
    case 'undo nothing': {
      const login = pick(
        dice,
        logins(model.access, now).filter(({ role }) => role === 'append-only'),
      );
      const path =
        login &&
        pick(
          dice,
          free(model, [...model.repositories.keys()]).filter((each) => may(model, login.account, each)),
        );
      const known = path && pick(dice, [...(model.repositories.get(path)?.keys() ?? [])]);
      return login && path && known
        ? { kind: 'undo nothing', account: login.account, key: login.key, path, archive: known }
        : null;
    }
    case 'open':
      return open(model, dice, now, archive);
    case 'finish':
    case 'close': {
      const backups = model.sessions.filter(({ how }) => (how === 'backup') === (card === 'finish'));
      const chosen = pick(
        dice,
        backups.filter((each) => card === 'close' || holds(model, each, now)),
      );
      return chosen ? { kind: card, id: chosen.id } : null;
    }
    case 'end sessions': {
      // No operator may end a session whose key may expire meanwhile.
      const chosen = pick(
        dice,
        model.sessions.filter((each) => holds(model, each, now)),
      );
      const selector = dice(2) === 0 ? { account: chosen?.account ?? '' } : { key: chosen?.key ?? 0 };
      return chosen ? { kind: 'end sessions', selector } : null;
    }
    case 'check on the server': {
      const path = pick(dice, free(model, [...model.repositories.keys()]));
      return path === undefined ? null : { kind: card, path };
    }
    case 'stop':
      return {
        kind: 'stop',
        refused: pick(dice, ['no', 'contradiction', 'missing folder'] as const, 'no'),
        watch: watchOf(dice),
      };
    case 'power cut':
    case 'sshd dies':
    case 'daemon dies':
      return { kind: card, watch: watchOf(dice) };
    case 'host dies':
    case 'borg changes':
      return { kind: card };
    default: {
      const edit = card === 'revoke' ? revoke(model, dice) : chooseEdit(card, model.tree, dice, now / 1000);
      if (!edit) return null;
      const told = pick(dice, ['by nobody', 'by nobody', 'by update-borgusers', 'by SIGHUP'] as const, 'by nobody');
      return { kind: 'edit', ...edit, told, manner: dice(2) === 0 ? 'in place' : 'renamed' };
    }
  }
};

/** It is best to take a file whose account still has a session. */
const flapping = ({ tree, sessions }: Model, dice: Dice): Step | null => {
  const files = [...tree.files.keys()].filter((path) => !tree.hidden.has(placeOf(path).role));
  const used = files.filter((path) => sessions.some(({ account }) => account === placeOf(path).name));
  const path = pick(dice, used.length > 0 ? used : files);
  return path === undefined || contradictions(tree).length > 0 ? null : { kind: 'flap', path };
};

/** Removes the key of a session that is open. */
const revoke = ({ sessions, tree }: Model, dice: Dice): Edit | null => {
  const session = pick(dice, sessions);
  const path = session && filesOf(tree, session.account).find((each) => !tree.hidden.has(placeOf(each).role));
  const file = path === undefined ? undefined : tree.files.get(path);
  if (!session || path === undefined || !file) return null;
  const keys = file.keys.filter(({ key }) => key !== session.key);
  return { what: `take key ${session.key} from ${path}`, tree: withFile(tree, path, { ...file, keys }) };
};

/** Every login that is allowed now and for some time. */
const logins = (access: Access, now: number) =>
  [...access].flatMap(([account, { keys, role, sub }]) =>
    [...keys.keys()]
      .filter((key) => [now, now + SLACK_MS].every((at) => admits(access, account, key, at) === 'yes'))
      .map((key) => ({ account, key, role, sub })),
  );

const holds = ({ access }: Model, { account, key }: Login, now: number): boolean =>
  [now, now + SLACK_MS].every((at) => admits(access, account, key, at) === 'yes');

/** Whether the account may name the path once it is let in. */
const may = ({ access }: Model, account: string, path: string): boolean => {
  const grant = access.get(account);
  return grant !== undefined && reaches(grant, account, path);
};

/** Paths without a running backup there, or below or above them. Such a backup has a lock. */
const free = ({ sessions }: Model, paths: readonly string[]): readonly string[] => {
  const busy = sessions.filter(({ how }) => how === 'backup').map(({ path }) => path.split('/')[0]);
  return paths.filter((path) => !busy.includes(path.split('/')[0]));
};

const ACTIONS = [
  ...(['init', 'create', 'create', 'list', 'extract', 'delete archive', 'delete repository', 'compact'] as const),
];

/** Every place where a repository may be. */
const PATHS = NAMES.flatMap((name) => [name, `${name}/sub`]);

/** The paths that an account would use: its own and, where it may have several repositories, those below it. */
const ownPaths = (login: { account: string; role: string; sub: boolean }): readonly string[] => {
  if (login.role === 'admin') return PATHS;
  return login.sub ? [`${login.account}/sub`, `${login.account}/sub`, login.account] : [login.account];
};

const allowed = (model: Model, dice: Dice, now: number, archive: string): Step | null => {
  const login = pick(dice, logins(model.access, now));
  const path =
    login &&
    pick(
      dice,
      free(model, ownPaths(login)).filter((each) => may(model, login.account, each)),
    );
  if (!login || path === undefined) return null;
  const { account, key } = login;
  const archives = model.repositories.get(path);
  const known = pick(dice, [...(archives?.keys() ?? [])]);
  const action = archives ? pick(dice, ACTIONS, 'list') : pick(dice, ['init', 'init', 'init', 'list'] as const, 'init');
  if (action === 'delete archive' && known === undefined)
    return { kind: 'borg', account, key, path, archive, action: 'create' };
  const old = action === 'delete archive' || (action === 'extract' && known !== undefined);
  return { kind: 'borg', account, key, path, action, archive: old && known !== undefined ? known : archive };
};

/** A step that is not allowed: with a key that does not open the account, or to a path that the account may not name. */
const trespass = (model: Model, dice: Dice, now: number, archive: string): Step | null => {
  const action = pick(dice, ACTIONS, 'list');
  const [account, key] = [pick(dice, NAMES, 'web01'), dice(KEYS + 1)];
  const path = pick(dice, free(model, PATHS));
  if (path === undefined) return null;
  if (dice(2) === 0 && admits(model.access, account, key, now) === 'no')
    return { kind: 'borg', account, key, path, action, archive };
  const login = pick(
    dice,
    logins(model.access, now).filter(({ role }) => role !== 'admin'),
  );
  const other =
    login &&
    pick(
      dice,
      free(model, PATHS).filter((each) => !may(model, login.account, each)),
    );
  return login && other !== undefined
    ? { kind: 'borg', account: login.account, key: login.key, path: other, action, archive }
    : { kind: 'borg', account, key: STRANGER, path, action: 'list', archive };
};

const open = (model: Model, dice: Dice, now: number, archive: string): Step | null => {
  if (model.sessions.length >= MOST_SESSIONS) return null;
  const login = pick(dice, logins(model.access, now));
  if (!login) return null;
  const { account, key } = login;
  const path = pick(
    dice,
    free(model, [...model.repositories.keys()]).filter((each) => may(model, account, each)),
  );
  const how =
    path === undefined
      ? pick(dice, ['idle', 'borg'] as const, 'idle')
      : pick(dice, ['idle', 'borg', 'backup', 'backup'] as const, 'idle');
  return { kind: 'open', account, key, how, path: path ?? '', archive };
};
