import { expect, it } from 'vitest';
import { whyImpossible } from '../../src/sessions/unseen.ts';
import { session } from './states.ts';

const ours = session({ process: { pid: 60, start: 100 } });
const connection = (uid: number | null) => ({ pid: 60, start: 100, uid, below: [] });
/** LoginGraceTime and some more, in clock ticks. */
const GRACE = 180 * 100;

it('a client that does not read the answer to its login raises no alarm', () => {
  expect(whyImpossible(ours, [connection(null)], 100 + GRACE, 180)).toBeNull();
});

it('a login that sshd should have given up long ago is an alarm', () => {
  expect(whyImpossible(ours, [connection(null)], 101 + GRACE, 180)).toMatch(/given up/);
});

it('a login below which another account runs is an alarm', () => {
  expect(whyImpossible(ours, [connection(10_001)], 200, 180)).toMatch(/another account/);
});

it('a login that has just ended by itself is no alarm', () => {
  expect(whyImpossible(ours, [{ ...connection(null), start: 99 }], 999_999, 180)).toBeNull();
});
