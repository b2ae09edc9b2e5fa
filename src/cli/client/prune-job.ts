import { archivesOf, keepWords } from './connection.ts';

/** How the lines of a job call borg, and what else they do. Each is text for sh. */
export type PruneJob = {
  readonly borg: string;
  /** The file with the archives that the last run left, in double quotes. */
  readonly seen: string;
  /** Stops the work on this repository. */
  readonly stop: string;
  /** Comes after a prune, to go on after borg's warning. */
  readonly tolerated?: string;
};

/** When each archive was begun, and its id, which names what is in it. Sorted: the newest is the last. */
const ARCHIVES = "--format '{time:%Y-%m-%d} {id}{NL}'";

/**
 * Lines of sh that prune an append-only repository before it is compacted. Compacting makes every deletion final, a thief's too. So
 * the lines stop where `borg check` finds that data are gone or replaced, where archives are gone that the last run had left, and
 * where new archives have such dates that prune would keep them instead of the real ones. Last, the server looks (src/snapshots/questions.ts): what it
 * refuses to compact is not pruned, either.
 *
 * The archives of each host are pruned separately: with one series for all who share a repository, most hosts would lose their
 * archives. The client chooses its host name: if there were a `*` in it, it would mean the archives of all.
 */
export const pruneJob = ({ borg, seen, stop, tolerated = '' }: PruneJob): readonly string[] => {
  const remember = `borg_now=$(${borg} list ${ARCHIVES}) && printf '%s\\n' "$borg_now" | sort >${seen} || ${stop}`;
  return [
    `mkdir -p "$(dirname ${seen})" && touch ${seen} || ${stop}`,
    `${borg} check --verify-data || ${stop}`,
    `borg_now=$(${borg} list ${ARCHIVES}) || ${stop}`,
    `borg_gone=$(printf '%s\\n' "$borg_now" | sort | comm -23 ${seen} -) || ${stop}`,
    `borg_new=$(printf '%s\\n' "$borg_now" | sort | comm -13 ${seen} -) || ${stop}`,
    'if [ -n "$borg_gone" ]; then',
    `  echo ${seen}": archives of this list are gone. Nothing is pruned or compacted: it would be final." >&2`,
    '  echo "Find out who deleted them, and undo it. If you did, or the last run was interrupted, remove the file." >&2',
    `  ${stop}`,
    'fi',
    `borg_last=$(tail -n 1 ${seen} | cut -c 1-10)`,
    `borg_first=$(printf '%s\\n' "$borg_new" | head -n 1 | cut -c 1-10)`,
    `borg_newest=$(printf '%s\\n' "$borg_new" | tail -n 1 | cut -c 1-10)`,
    'if [ -n "$borg_new" ] && { expr "$borg_first" "<" "$borg_last" || expr "$borg_newest" ">" "$(date +%Y-%m-%d)"; } >/dev/null; then',
    `  echo ${seen}": there are new archives with dates before the last of this list, or in the future." >&2`,
    '  echo "Prune would keep them instead of others. If they are right, remove the file." >&2',
    `  ${stop}`,
    'fi',
    '# It removes nothing: the server says whether somebody has to look at what was done first.',
    `${borg} compact --threshold 100${tolerated || ` || ${stop}`}`,
    remember,
    `borg_hosts=$(${borg} list --format '{hostname}{NL}') || ${stop}`,
    `printf '%s\\n' "$borg_hosts" | sort -u | grep -x '[A-Za-z0-9_][A-Za-z0-9_.-]*' | while IFS= read -r host; do`,
    `  ${borg} prune --list --glob-archives "${archivesOf('$host')}" ${keepWords.join(' ')} </dev/null${tolerated}`,
    `  ${remember.replace('list', '</dev/null list')}`,
    'done',
  ];
};
