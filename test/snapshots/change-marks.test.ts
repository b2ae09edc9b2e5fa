import { describe, expect, it } from 'vitest';
import { marksOfChange } from '../../src/snapshots/change-marks.ts';
import type { Told, Writer } from '../../src/snapshots/change-record.ts';

const NOTHING = { objects: 0, bytes: 0 };
type Counted = NonNullable<Told['counted']>;
const counted = (given: Partial<Counted> = {}): Counted => ({
  ...{ added: NOTHING, deleted: NOTHING, deletedRecent: 0, replaced: NOTHING, compacted: { segments: 0, bytes: 0 } },
  ...given,
});
const session = (role: string, wrote = true): Writer => ({
  ...{ kind: 'session', account: 'web01', role, fingerprint: 'SHA256:x', comment: '', from: '203.0.113.7', wrote },
});
const server = (what: string): Writer => ({ kind: 'server', what });
const state = { id: 'a', key: 'k', nonceSpent: false };
const objects = { before: 101, after: 101, bytes: 10_000 };
type Given = Partial<Parameters<typeof marksOfChange>[0]>;
const marks = (given: Given) =>
  marksOfChange({
    ...{ objects, counted: counted(), unknown: null, by: [], before: state, after: state, role: 'repo' },
    ...given,
  });
const deleted = (number: number, deletedRecent = 0, bytes: number | null = 1): Given => ({
  counted: counted({ deleted: { objects: number, bytes }, deletedRecent }),
});

describe('what looks like an attack', () => {
  it('is that most of what was there was deleted, in objects or in bytes, and not a part of it', () => {
    expect(marks(deleted(51))).toEqual(['mostly-deleted']);
    expect(marks(deleted(50))).toEqual([]);
    expect(marks(deleted(1, 0, 5001))).toEqual(['mostly-deleted']);
    expect(marks(deleted(1, 0, 5000))).toEqual([]);
    expect(marks(deleted(51, 0, null))).toEqual(['mostly-deleted']);
    expect(marks({ objects: { before: 1, after: 1, bytes: 100 } })).toEqual([]);
  });

  it('is not what the operator deletes at the server, if nobody else was there', () => {
    const operator = server('maintenance delete');
    expect(marks({ ...deleted(101), by: [operator] })).toEqual([]);
    expect(marks({ ...deleted(101), by: [operator, session('repo', false)] })).toEqual(['mostly-deleted']);
    expect(marks({ ...deleted(101), by: [server('borg create')] })).toEqual(['mostly-deleted']);
    expect(marks({ ...deleted(101), by: [] })).toEqual(['mostly-deleted']);
  });

  it('is what hides itself: then the number of objects says whether most are gone', () => {
    const hidden = { counted: null, unknown: 'index' };
    expect(marks(hidden)).toEqual(['uncounted']);
    expect(marks({ ...hidden, objects: null })).toEqual(['uncounted']);
    expect(marks({ ...hidden, objects: { ...objects, after: 50 } })).toEqual(['mostly-deleted', 'uncounted']);
    expect(marks({ ...hidden, objects: { ...objects, after: 500 } })).toEqual(['uncounted']);
    // A client can make the disk slow, too.
    expect(marks({ ...hidden, unknown: 'the disk does not answer' })).toEqual(['uncounted']);
    // The state before it was marked, or had nothing.
    expect(marks({ ...hidden, unknown: 'before-no-index' })).toEqual(['uncounted']);
    for (const unknown of ['before-index', 'before-nothing']) expect(marks({ ...hidden, unknown })).toEqual([]);
    // What was deleted is known then, and what was overwritten is not.
    expect(marks({ unknown: 'segment' })).toEqual(['uncounted']);
    // Whatever was counted: most are gone.
    expect(marks({ objects: { ...objects, after: 50 } })).toEqual(['mostly-deleted']);
  });

  it('is that an append-only client deleted, but not what its own last backup had left', () => {
    const by = [session('append-only')];
    const role = 'append-only';
    expect(marks({ ...deleted(2), role, by })).toEqual(['append-only-deleted']);
    // After a restart of the server nobody knows who it was.
    expect(marks({ ...deleted(2), role })).toEqual(['append-only-deleted']);
    // Its key file was moved away meanwhile.
    expect(marks({ ...deleted(2), role: null, by })).toEqual(['append-only-deleted']);
    expect(marks({ ...deleted(2, 2), role, by })).toEqual([]);
    expect(marks({ ...deleted(3, 2), role, by })).toEqual(['append-only-deleted']);
    expect(marks({ ...deleted(2), by: [session('repo')] })).toEqual([]);
  });

  it('is not that somebody else deleted who may, and it excuses nobody that an admin was connected', () => {
    const by = [session('append-only')];
    const role = 'append-only';
    expect(marks({ ...deleted(2), role, by: [...by, session('admin')] })).toEqual([]);
    expect(marks({ ...deleted(2), role, by: [...by, session('admin', false)] })).toEqual(['append-only-deleted']);
    for (const what of ['borg prune', 'maintenance delete', 'borg check --repair', 'borg rename', 'repair nonce'])
      expect(marks({ ...deleted(2), role, by: [server(what)] })).toEqual([]);
    for (const what of ['borg check', 'maintenance compact', 'doctor --fix'])
      expect(marks({ ...deleted(2), role, by: [server(what)] })).toEqual(['append-only-deleted']);
  });

  it('is another content under the same id', () => {
    expect(marks({ counted: counted({ replaced: { objects: 1, bytes: 1 } }) })).toEqual(['replaced']);
  });

  it('is another key, or none where one was; and another repository, whatever key that has', () => {
    expect(marks({ after: { ...state, key: 'other' } })).toEqual(['key-replaced']);
    expect(marks({ after: { ...state, key: null } })).toEqual(['key-replaced']);
    expect(marks({ before: { ...state, key: null } })).toEqual([]);
    expect(marks({ after: { ...state, id: 'b', key: 'other' } })).toEqual(['other-repository']);
  });

  it('is a counter at its end, once', () => {
    const spent = { ...state, nonceSpent: true };
    expect(marks({ after: spent })).toEqual(['nonce-spent']);
    expect(marks({ before: spent, after: spent })).toEqual([]);
  });

  it('is no undo', () => {
    const by = [server('undo to snapshot 7')];
    expect(marks({ ...deleted(51), by, after: { ...state, key: 'other' } })).toEqual([]);
  });
});
