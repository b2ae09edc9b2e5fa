import { execa } from 'execa';
import * as z from 'zod';
import { shippedFile } from '../host/shipped.ts';
import { printable } from '../text/printable.ts';

const format = z.union([
  z.object({
    transaction: z.number().nullable(),
    segments: z.number(),
    bytes: z.number(),
    locked: z.boolean(),
    seconds: z.number(),
    protected: z.boolean(),
  }),
  z.object({
    failed: z.string(),
    name: z.string().optional(),
    names: z.array(z.string()).optional(),
    count: z.number().optional(),
    said: z.string().optional(),
  }),
]);

export type Taken = Exclude<z.infer<typeof format>, { failed: string }>;

/** Why there is no snapshot: a code, and the same in words, printable. */
export type NotTaken = { readonly code: string; readonly why: string };

/** Where a repository is, and whose: the account's uid and gid, and the admins' uid. */
export type Source = {
  readonly repos: string;
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly admins: number;
};

/** image/snapshots/take.py gives up after two minutes, but a disk may answer nothing at all. */
const PATIENCE_MS = 5 * 60_000;

/**
 * Takes a snapshot (image/snapshots/take.py says how).
 *
 * @param python borg's interpreter
 * @param hostId in whose name it takes borg's lock
 * @param into an empty folder of root's, on the same file system. If no snapshot is taken, it is empty again, or was not reached
 * @param signal ends it. A lock that is left then names a process that is gone
 */
export const takeSnapshot = async (
  { python, hostId }: { readonly python: string; readonly hostId: string },
  { repos, path, uid, gid, admins }: Source,
  into: string,
  signal: AbortSignal,
): Promise<Taken | NotTaken> => {
  const words = [shippedFile('snapshot'), 'take', repos, path, into, hostId, ...[uid, gid, admins].map(String)];
  const { stdout, stderr, exitCode, timedOut, isCanceled } = await execa(python, ['-I', ...words], {
    ...{ reject: false, stdin: 'ignore', extendEnv: false },
    ...{ timeout: PATIENCE_MS, killDescendants: true, cancelSignal: signal },
  });
  if (isCanceled) return { code: 'stopping', why: 'the server stops' };
  if (timedOut) return { code: 'too-slow', why: 'the disk does not answer' };
  const told = format.safeParse(parse(stdout)).data;
  if (told === undefined)
    return { code: 'unexpected', why: printable(stderr.trim().split('\n').at(-1) || `exit code ${exitCode}`, 200) };
  return 'failed' in told ? { code: told.failed, why: inWords(told) } : told;
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

const inWords = ({ failed, name, names, count, said }: Extract<z.infer<typeof format>, { failed: string }>): string => {
  switch (failed) {
    case 'no-repository':
      return 'there is no repository any more';
    case 'not-its-own':
      return "its folder is not its account's";
    case 'odd-entry':
      return `'${printable(name ?? '', 80)}' in it is not its account's, or no plain file`;
    case 'writable': {
      const more = (count ?? 0) > (names?.length ?? 0) ? ` and ${(count ?? 0) - (names?.length ?? 0)} more` : '';
      return `a process has committed data open for writing, which no borg does: ${printable(names?.join(', ') ?? '', 80)}${more}`;
    }
    case 'changes':
      return 'its client changes it again and again';
    case 'too-much':
      return 'it holds too many files to be looked through';
    case 'other-file-system':
      return 'it lies on a file system of its own';
    default:
      return printable(said ?? failed, 200);
  }
};
