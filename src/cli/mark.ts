export type MarkCode =
  | 'not-a-folder'
  | 'unreadable'
  | 'damaged'
  | 'lost'
  | 'failed'
  | 'wrong-owner'
  | 'foreign-owners'
  | 'no-key'
  | 'never-initialised'
  | 'foreign-files'
  | 'too-deep'
  | 'no-archive'
  | 'backup-unknown'
  | 'stale'
  | 'no-snapshot'
  | 'looks-attacked'
  | 'near-quota'
  | 'over-quota'
  | 'not-encrypted'
  | 'append-only-config'
  | 'nested';

/** Something that is wrong with a repository; the text is printable. */
export type Mark = { readonly code: MarkCode; readonly level: 'warning' | 'error'; readonly text: string };
