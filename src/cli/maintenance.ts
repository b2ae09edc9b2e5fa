import { execa } from 'execa';
import { type Passthrough, parsePassthrough, type Wording, wordsFor } from '../borg/passthrough.ts';
import { quoted } from '../borg/serve-arguments.ts';
import type { Places } from '../places.ts';
import { listSnapshots, snapshotsOf } from '../snapshots/store.ts';
import { printable } from '../text/printable.ts';
import { sizeText } from '../text/size.ts';
import { withBorg } from './borg.ts';

/** borg's own code for an error. */
const ERROR = 2;
/** A backup may run for hours, and nobody else can use the repository until it is done. */
const LOCK_WAIT_SECONDS = 86_400;

/** Commands that make room. A client's own commands do not belong here: they would fill the repository while it has no quota. */
const COMMANDS: ReadonlySet<string> = new Set(['prune', 'compact', 'delete']);

/**
 * `borgserver maintenance NAME -- prune …|compact …|delete …`: runs borg on one repository as the folder's owner, never as root,
 * with no quota for this one run. Standard error says how much it freed. A client that is above its quota cannot run these
 * commands itself: borg refuses them (borg issue 8948).
 *
 * @param name NAME, or NAME/FOLDER where an account has several repositories
 * @param given borg's words, with or without `--` before them
 * @returns borg's exit code; 2 where the command was refused
 * @throws what the machine cannot do, with `cause`
 */
export const runMaintenance = async (name: string, given: readonly string[], places: Places): Promise<number> => {
  const words = given[0] === '--' ? given.slice(1) : given;
  const request = judge(name, words, places.repos);
  if (typeof request === 'string') {
    console.error(`borgserver: ${request}`);
    return ERROR;
  }
  return withBorg(places, { ...request, maintenance: true }, async (runOn) => {
    const folder = `${places.repos}/${request.meant}`;
    const before = await spaceOf(folder);
    console.error(
      `borgserver: ${words[0]} on ${folder} without its quota; waits up to ${LOCK_WAIT_SECONDS / 3600} h for its lock`,
    );
    const { exitCode } = await runOn(request.meant);
    const kept = hasSnapshots(places, request.meant);
    console.error(
      exitCode >= ERROR
        ? `borgserver: ${words[0]} failed (exit code ${exitCode}); its lines above say why`
        : `borgserver: ${freed(before, await spaceOf(folder), request.command)}${kept ? heldText(request.meant) : ''}`,
    );
    return exitCode;
  });
};

type Request = { readonly command: string; readonly meant: string; readonly wording: Wording };

/** The request, or why it is refused. */
const judge = (name: string, words: readonly string[], root: string): Request | string => {
  const [command = ''] = words;
  if (!COMMANDS.has(command)) {
    const shown = command === '' ? 'no command' : `'${printable(command)}'`;
    return `maintenance is for ${[...COMMANDS].join(', ')}, not for ${shown}; for example: borgserver maintenance web01 -- compact`;
  }
  // Read like `borg list NAME`, so the name is checked in the same way.
  const named = parsePassthrough(['list', name], root, undefined);
  if (named.kind === 'refused') return named.message;
  const meant = meantBy(named);
  if (named.kind !== 'repository' || meant === null || named.archive !== '')
    return `'${printable(name)}' is not one repository: name it, and its archives after --`;
  const given = parsePassthrough(words, root, `${root}/${meant}`);
  if (given.kind === 'refused') return given.message;
  if (given.kind !== 'repository' || meantBy(given) !== meant)
    return `the words after -- name another repository; an archive of ${meant} is written ::ARCHIVE`;
  const wording: Wording = (folder) => ({
    // Before the operator's own words, so that their own --lock-wait counts.
    words: ['--lock-wait', String(LOCK_WAIT_SECONDS), ...wordsFor(words, given, folder)],
    repository: given.at === null ? folder : null,
  });
  return { command, meant, wording };
};

const meantBy = (request: Passthrough): string | null =>
  request.kind === 'repository' && request.meant !== 'all' ? request.meant.path : null;

/** Bytes on the disk. Null where du does not know (a file went while it looked). It follows no link. */
const spaceOf = async (folder: string): Promise<number | null> => {
  const { exitCode, stdout } = await execa('du', ['--summarize', '--block-size=1', '--', folder], { reject: false });
  const bytes = Number(/^\d+/.exec(stdout)?.[0] ?? Number.NaN);
  return exitCode === 0 && Number.isSafeInteger(bytes) ? bytes : null;
};

const freed = (before: number | null, after: number | null, command: string): string => {
  if (before === null || after === null) return 'how much it freed is unknown';
  const uses = `the repository uses ${roundedText(after)} on the disk`;
  if (after < before) return `freed ${roundedText(before - after)}; ${uses}`;
  return `freed nothing; ${uses}${command === 'compact' ? '' : '. What was deleted is freed by: compact'}`;
};

const hasSnapshots = ({ state }: Places, path: string): boolean => {
  const folder = snapshotsOf(state, path);
  return folder !== null && listSnapshots(folder).length > 0;
};

/** What the repository has no more is not free before its snapshots have gone. */
const heldText = (path: string): string =>
  `. Its older snapshots still hold what they share with it: to free that, borgserver snapshots ${quoted(path)} --remove older`;

const roundedText = (bytes: number): string => `${sizeText(roundedTo3(bytes))}B`;

const roundedTo3 = (bytes: number): number => Number(bytes.toPrecision(3));
