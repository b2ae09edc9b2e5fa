/** What a cell of the isolation matrix says, and what a row is. Pure data. */

/** Who makes an attempt. `no key` is somebody whom the server does not know. */
export const COLUMNS = ['append-only', 'repo', 'sub-repositories', 'admin', 'no key'] as const;

export type Column = (typeof COLUMNS)[number];

/** What came of an attempt. LEGEND explains it in docs/isolation.md. `–`: the attempt has no meaning for this column, and is not made. */
export type Verdict = 'refused' | 'allowed' | 'own only' | 'kept' | 'same answer' | 'limited' | '–';

/** What docs/isolation.md says of the verdicts that do not explain themselves. */
export const LEGEND: readonly (readonly [Verdict, string])[] = [
  ['own only', "it works on the client's own repository, where the role allows it, and nowhere else"],
  ['kept', 'borg says that it is done, and every byte is still on the disk'],
  ['same answer', 'the answer is the same whether the name is there or not'],
  ['limited', 'it ends at a limit, and others go on meanwhile'],
];

export type Attempt = {
  readonly id: string;
  /** What is tried, as the middle of a sentence; Markdown. */
  readonly title: string;
  readonly expected: Readonly<Record<Column, Verdict>>;
  /**
   * For whom the very same attempt must succeed in the same run. This shows that it is not refused for a reason of its own. It is a
   * client of a plain sshd that allows everything, or whoever has the right here.
   */
  readonly control?: 'plain sshd' | 'its owner' | 'root' | 'no box';
  /** The columns make the attempt one after the other, because all need the same thing, such as the few sessions that an admin may have. */
  readonly inTurn?: true;
};

export type AttemptGroup = { readonly title: string; readonly attempts: readonly Attempt[] };

/** The five cells of a row. */
export const each = (
  appendOnly: Verdict,
  repo: Verdict,
  sub: Verdict,
  admin: Verdict,
  noKey: Verdict,
): Attempt['expected'] => ({
  'append-only': appendOnly,
  repo,
  'sub-repositories': sub,
  admin,
  'no key': noKey,
});

/** Rows that occur more than once. */
export const NOBODY = each('refused', 'refused', 'refused', 'refused', 'refused');
export const ADMIN_ONLY = each('refused', 'refused', 'refused', 'allowed', 'refused');
export const OWN_ONLY = each('own only', 'own only', 'own only', 'allowed', 'refused');
export const UNIX_NOBODY = each('refused', 'refused', 'refused', 'refused', '–');

/** A row of NOBODY. */
export const refusedToAll = (id: string, title: string, control: NonNullable<Attempt['control']>): Attempt => ({
  ...{ id, title, control },
  expected: NOBODY,
});
/** A row of ADMIN_ONLY. */
export const ofAdmins = (id: string, title: string): Attempt => ({ id, title, expected: ADMIN_ONLY });
