/** What a file's name says where it ends like a copy that a person or a tool put aside. */
export type LeftoverName = {
  /** The accounts that it may be a copy of, the nearest first: for `web01.old.bak` web01.old and web01. Never empty. */
  readonly of: readonly string[];
  /** No host has such a name: the ending is a tool's, or says that the file must not count. */
  readonly surely: boolean;
};

const NUMBER = '(?:[._-]?\\d[\\d._-]*)?';
/** These may also end the name of a host: `backup.old`. None of them is a top-level domain. */
const PERHAPS = `(?:bak|old|orig|save|backup|copy|temp|part)${NUMBER}`;
const SURELY = `(?:(?:disabled?|tmp|rpm(?:new|save|orig)|dpkg-(?:old|new|dist|bak|tmp)|ucf-(?:old|new|dist))${NUMBER}|off|partial|filepart|rej)`;
const END = new RegExp(
  `(?:(?:\\.pub)?\\.|\\.pub[-_])(?:(?<surely>${SURELY})|${PERHAPS})$|(?<said>[-_]disabled?)$`,
  'i',
);
/** Syncthing's copy of a file that was changed in two places. The mark is before what Syncthing takes for the file's extension. */
const SYNC_CONFLICT = /\.sync-conflict-\d{8}-\d{6}(?:-[A-Z0-9]{7})?(?=\.|$)/;

/**
 * Reads the name of an account as that of a leftover: `web01.bak`, `web01.pub.dpkg-old`, `web01.old.2`, `web01.sync-conflict-…`.
 *
 * @returns null for any other name
 */
export const leftoverName = (name: string): LeftoverName | null => {
  const of: string[] = [];
  let surely = false;
  let rest = name;
  // Goes on to the end: somebody may have copied a copy. Each turn makes the name shorter.
  for (;;) {
    // An ending that a Windows editor added changes nothing.
    rest = rest.replace(/\.txt$/i, '');
    const end = END.exec(rest);
    const shorter = (end ? rest.slice(0, end.index) : rest.replace(SYNC_CONFLICT, '')).replace(/\.pub$/, '');
    if (shorter === rest || shorter === '' || (!end && !SYNC_CONFLICT.test(rest))) break;
    surely ||= !end || (end.groups?.surely ?? end.groups?.said) !== undefined;
    of.push(shorter);
    rest = shorter;
  }
  return of.length === 0 ? null : { of, surely };
};
