import type { Role } from '../accounts/role.ts';
import type { ChangeRecord, MarkOfChange, Writer } from './change-record.ts';

/** What a snapshot says of its repository, and what is compared. */
export type Compared = {
  readonly id: string | null;
  readonly key: string | null;
  readonly nonceSpent: boolean;
};

type Judged = Pick<ChangeRecord, 'objects' | 'counted' | 'unknown' | 'by'> & {
  readonly before: Compared;
  readonly after: Compared;
  /** Of the account. Null: it is not granted now. */
  readonly role: Role | null;
};

/** More than this part of what was there, in objects or in bytes. The one archive of a new repository counts, too. */
const MOSTLY = 0.5;

/** What an operator's command may delete of an append-only repository. */
const DELETES = /^(borg|maintenance) (delete|prune|recreate|rename|check --repair)$|^repair /;

/** The older one could not be counted: it was marked then, or nothing had been committed yet. After an undo it may have no index, and was not marked. */
const BEFORE = /^before-(index|nothing)$/;

/**
 * What of a change looks like an attack. An honest client may do the same: a person has to look. An undo is none.
 *
 * An append-only client deletes nothing of what stands, but one thing: a backup that was interrupted left a checkpoint, and the next one removes
 * that. So what the last interval has added does not count there.
 */
export const marksOfChange = (judged: Judged): readonly MarkOfChange[] => {
  const { counted, unknown, by, before, after } = judged;
  if (by.some((each) => each.kind === 'server' && each.what.startsWith('undo '))) return [];
  const marks: MarkOfChange[] = [];
  if (isMostlyDeleted(judged) && !isOperators(by)) marks.push('mostly-deleted');
  if (counted && isAppendOnly(judged) && counted.deleted.objects > counted.deletedRecent)
    marks.push('append-only-deleted');
  if (counted && counted.replaced.objects > 0) marks.push('replaced');
  // Who can hide what he does, or a part of it, must not go unmarked, also behind a disk that is too slow.
  if (unknown !== null && !BEFORE.test(unknown)) marks.push('uncounted');
  if (before.id !== null && after.id !== null && before.id !== after.id) marks.push('other-repository');
  else if (before.key !== null && before.key !== after.key) marks.push('key-replaced');
  if (after.nonceSpent && !before.nonceSpent) marks.push('nonce-spent');
  return marks;
};

/** Nobody but the operator has changed it, with a command that deletes: he knows. */
const isOperators = (by: readonly Writer[]): boolean =>
  by.length > 0 && by.every((each) => each.kind === 'server' && mayDelete(each));

/** The manifest stays. */
const isMostlyDeleted = ({ objects, counted }: Judged): boolean => {
  if (!objects) return false;
  const mostOf = (part: number, all: number): boolean => part > 0 && part > all * MOSTLY;
  if (mostOf(objects.before - objects.after, objects.before - 1)) return true;
  if (!counted) return false;
  const { deleted } = counted;
  return mostOf(deleted.objects, objects.before - 1) || mostOf(deleted.bytes ?? 0, objects.bytes);
};

/** Nobody but append-only clients can have deleted anything. */
const isAppendOnly = ({ by, role }: Judged): boolean =>
  (role === 'append-only' || by.some((each) => each.kind === 'session' && each.role === 'append-only')) &&
  !by.some(mayDelete);

const mayDelete = (writer: Writer): boolean =>
  writer.kind === 'server' ? DELETES.test(writer.what) : writer.role !== 'append-only' && writer.wrote;

/** In words, for a person. */
export const MARK_TEXTS: Readonly<Record<MarkOfChange, string>> = {
  'mostly-deleted': 'most of what was there was deleted',
  'append-only-deleted': 'an append-only client deleted what stood there',
  replaced: 'objects were overwritten by others under the same id (borg recreate --recompress does that, too)',
  'key-replaced': 'the key was replaced',
  'other-repository': 'it is another repository than before',
  'nonce-spent': 'the counter of the encryption was raised to its end',
  uncounted: 'what was done could not be counted',
  destroyed: 'the repository is gone',
};
