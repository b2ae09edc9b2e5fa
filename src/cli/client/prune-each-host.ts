import { archivesOf, keepWords } from './connection.ts';

/**
 * Lines of sh that prune the archives of each host by itself: with one series for all who share a repository, most of them would
 * lose their archives. What a host calls itself is the client's word: with `*` in it, it would be the archives of all.
 *
 * @param hosts a command that prints the host of each archive
 * @param borg how borg is called for the repository
 * @param tolerated what comes behind a prune, to go on after borg's warning
 */
export const pruneEachHost = (hosts: string, borg: string, tolerated = ''): readonly string[] => [
  `${hosts} | sort -u | grep -x '[A-Za-z0-9_][A-Za-z0-9_.-]*' | while IFS= read -r host; do`,
  `  ${borg} prune --list --glob-archives "${archivesOf('$host')}" ${keepWords.join(' ')} </dev/null${tolerated}`,
  'done',
];

/** The format of `borg list` that gives the hosts. */
export const HOSTS_FORMAT = "--format '{hostname}{NL}'";
