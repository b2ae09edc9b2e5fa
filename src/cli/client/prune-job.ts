import { archivesOf, keepWords } from './connection.ts';

/** How the lines of a job are to call borg, and what they do besides. Each is text for sh. */
export type PruneJob = {
  readonly borg: string;
  /** The file in which the archives that the last run left are kept, in double quotes. */
  readonly seen: string;
  /** Gives this repository up. */
  readonly stop: string;
  /** Behind a prune, to go on after borg's warning. */
  readonly tolerated?: string;
};

/**
 * Lines of sh that prune an append-only repository before it is compacted, which makes every deletion final, a thief's too. So they
 * end where `borg check` finds that data are gone from below archives, and where archives are gone that the last run had left.
 *
 * The archives of each host are pruned by itself: with one series for all who share a repository, most of them would lose their
 * archives. What a host calls itself is the client's word: with `*` in it, it would be the archives of all.
 */
export const pruneJob = ({ borg, seen, stop, tolerated = '' }: PruneJob): readonly string[] => [
  `${borg} check || ${stop}`,
  `touch ${seen}`,
  `borg_now=$(${borg} list --format '{id}{NL}') || ${stop}`,
  `if [ -n "$(printf '%s\\n' "$borg_now" | sort | comm -23 ${seen} -)" ]; then`,
  `  echo ${seen}": archives of this list are gone. Nothing is pruned or compacted: it would be final." >&2`,
  '  echo "Find out who deleted them, and undo it; if that was you, remove the file." >&2',
  `  ${stop}`,
  'fi',
  `borg_hosts=$(${borg} list --format '{hostname}{NL}') || ${stop}`,
  `printf '%s\\n' "$borg_hosts" | sort -u | grep -x '[A-Za-z0-9_][A-Za-z0-9_.-]*' | while IFS= read -r host; do`,
  `  ${borg} prune --list --glob-archives "${archivesOf('$host')}" ${keepWords.join(' ')} </dev/null${tolerated}`,
  'done',
  `borg_now=$(${borg} list --format '{id}{NL}') || ${stop}`,
  `printf '%s\\n' "$borg_now" | sort >${seen}`,
];
