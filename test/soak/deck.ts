import { diceAt, shuffled } from './dice.ts';
import type { EditKind } from './edits.ts';
import type { Step } from './model.ts';

/** A kind of step, drawn from a shuffled deck. */
export type Card = EditKind | Exclude<Step['kind'], 'edit'> | 'revoke' | 'trespass';

/** How many cards of each kind are in a deck. */
const COUNTS: Readonly<Record<Card, number>> = {
  ...{ add: 3, 'change keys': 2, remove: 1, move: 2, rename: 1, spoil: 1, direct: 1 },
  ...{ contradict: 1, cure: 1, misname: 1, expire: 1, narrow: 1, hide: 1, burst: 1, flap: 2 },
  ...{ borg: 6, trespass: 2, 'undo nothing': 1, 'check on the server': 1 },
  ...{ open: 5, finish: 1, close: 1, 'end sessions': 1, revoke: 2 },
  ...{ stop: 1, 'power cut': 1, 'sshd dies': 1, 'daemon dies': 1 },
  ...{ 'host dies': 2, 'borg changes': 1 },
};

/** Steps that end the server and start it again. */
export const RESTARTS: readonly Card[] = ['stop', 'power cut', 'sshd dies', 'daemon dies'];

/** Steps after which there is another session host. */
export const HOST_FATES: readonly Card[] = ['host dies', 'borg changes'];

const CARDS: readonly Card[] = (Object.keys(COUNTS) as Card[]).flatMap((card) => Array<Card>(COUNTS[card]).fill(card));

/** How many cards are played before they are shuffled anew. */
export const DECK = CARDS.length;

/**
 * The order of the cards: every kind comes within DECK steps. The very first cards make accounts.
 *
 * @param calm no restarts, not even of the session host. Other logins come in their place, so that the rest of the order stays the same
 */
export const cardAt = (seed: number, step: number, calm: boolean): Card => {
  if (step < 4) return 'add';
  const deck = Math.floor(step / DECK);
  const cards = shuffled(diceAt(seed, -1 - deck), CARDS);
  const card = cards[step % DECK] ?? 'borg';
  return calm && [...RESTARTS, ...HOST_FATES].includes(card) ? 'trespass' : card;
};
