import { compareText } from '../text/order.ts';

/** The closed set of things that can be wrong with what an operator declared or with what is on disk. docs/findings.md lists each with its cure. */
export type FindingCode =
  // one line of a key file
  | 'malformed-key'
  | 'other-form'
  | 'unknown-key-type'
  | 'weak-key'
  | 'dsa-key'
  | 'certificate'
  | 'private-key'
  | 'forbidden-option'
  | 'malformed-option'
  | 'option-without-effect'
  | 'expired-key'
  | 'duplicate-key'
  | 'unknown-directive'
  | 'bad-directive'
  // one file or its name
  | 'bad-name'
  | 'reserved-name'
  | 'name-slip'
  | 'leftover'
  | 'no-valid-key'
  | 'not-a-key-file'
  | 'file-unreadable'
  | 'file-too-large'
  | 'not-a-file'
  | 'link-leaves-tree'
  // several files
  | 'conflicting-roles'
  | 'conflicting-names'
  | 'append-only-key-is-admin'
  // a folder of the tree, or one of /repos
  | 'folder-unreadable'
  | 'folder-missing'
  | 'unexpected-entry'
  | 'repository-not-a-folder'
  | 'repository-failed'
  | 'repository-lost'
  | 'foreign-owners'
  | 'adoption-interrupted'
  | 'repositories-read-only'
  | 'no-free-uid';

/** One thing that is wrong: a value, never thrown. Every text in it is printable already. */
export type Finding = {
  readonly severity: 'error' | 'warning';
  readonly code: FindingCode;
  /** Path as an operator sees it, for example /sshkeys/repos/web01; BORG_SSHKEYS for keys from the environment. */
  readonly file: string;
  /** 1-based line, or null where the finding is about the whole file. */
  readonly line: number | null;
  /** What was found. */
  readonly message: string;
  /** What to do about it. */
  readonly remedy: string;
};

/** Where it is: a file, and the line if it is about one. */
export type Place = Pick<Finding, 'file' | 'line'>;

/** Makes a finding about a line, or about a whole file, which may be given by its path alone. */
export const findingAt = (
  severity: Finding['severity'],
  place: string | Place,
  code: FindingCode,
  message: string,
  remedy: string,
): Finding => {
  const { file, line } = typeof place === 'string' ? { file: place, line: null } : place;
  return { severity, code, file, line, message, remedy };
};

/** Something is not done that was declared, or is not safe. */
export const errorAt = (place: string | Place, code: FindingCode, message: string, remedy: string): Finding =>
  findingAt('error', place, code, message, remedy);

/** Something is done otherwise than it may be meant. */
export const warningAt = (place: string | Place, code: FindingCode, message: string, remedy: string): Finding =>
  findingAt('warning', place, code, message, remedy);

const CONFLICTS: ReadonlySet<FindingCode> = new Set(['conflicting-roles', 'conflicting-names']);

/** Conflicts are findings in which two declarations contradict each other, so that neither can be trusted. */
export const isConflict = (finding: Finding): boolean => CONFLICTS.has(finding.code);

/** A total order by place and kind: two passes over the same tree report the same list. */
export const compareFindings = (a: Finding, b: Finding): number =>
  compareText(a.file, b.file) ||
  (a.line ?? 0) - (b.line ?? 0) ||
  compareText(a.code, b.code) ||
  compareText(a.message, b.message);
