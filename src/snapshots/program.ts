import { execa } from 'execa';
import * as z from 'zod';
import { shippedFile } from '../host/shipped.ts';
import { printable } from '../text/printable.ts';

/** Why something was not done: a code, and the same in words, printable. */
export type NotDone = { readonly code: string; readonly why: string };

const failed = z.object({
  failed: z.string(),
  name: z.string().optional(),
  names: z.array(z.string()).optional(),
  count: z.number().optional(),
  number: z.number().optional(),
  said: z.string().optional(),
});

/** Where a repository is, and whose: the account's uid and gid, and the admins' uid. */
export type Source = {
  readonly repos: string;
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly admins: number;
};

/** image/snapshots gives up by itself, but a disk may answer nothing at all. */
const PATIENCE_MS = 5 * 60_000;

type Asking = {
  readonly signal?: AbortSignal;
  /** Milliseconds. */
  readonly patience?: number;
  /** Is asked where the program waits for a word: whether it may go on. */
  readonly mayGoOn?: () => Promise<boolean>;
};

/**
 * Asks image/snapshot, as root, for one thing (image/snapshots/__main__.py has the words).
 *
 * @param python borg's interpreter
 * @param format what it tells if it did it
 * @throws what `mayGoOn` throws, and nothing is done then
 */
export const askSnapshotProgram = async <Told>(
  python: string,
  words: readonly string[],
  format: z.ZodType<Told>,
  { signal, patience = PATIENCE_MS, mayGoOn }: Asking = {},
): Promise<Told | NotDone> => {
  const program = execa(python, ['-I', shippedFile('snapshot'), ...words], {
    ...{ reject: false, stdin: mayGoOn ? 'pipe' : 'ignore', extendEnv: false, buffer: { stdout: false } },
    ...{ timeout: patience, killDescendants: true, ...(signal && { cancelSignal: signal }) },
  });
  let last = '';
  const thrown: unknown[] = [];
  for await (const line of program.iterable({ from: 'stdout' })) {
    last = line;
    if (!mayGoOn || line !== LOCKED) continue;
    // The program waits. Without the word it does nothing, also if this process is gone.
    const word = await mayGoOn().catch((error) => {
      thrown.push(error);
      return false;
    });
    program.stdin?.end(word ? 'go\n' : 'no\n');
  }
  const { stderr, exitCode, timedOut, isCanceled } = await program;
  if (thrown.length > 0) throw thrown[0];
  if (isCanceled) return { code: 'stopping', why: 'the server stops' };
  if (timedOut) return { code: 'too-slow', why: 'the disk does not answer' };
  const value = parse(last);
  const told = format.safeParse(value).data;
  if (told !== undefined) return told;
  const problem = failed.safeParse(value).data;
  if (problem) return { code: problem.failed, why: inWords(problem) };
  return { code: 'unexpected', why: printable(stderr.trim().split('\n').at(-1) || `exit code ${exitCode}`, 200) };
};

const LOCKED = '{"locked": true}';

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

const inWords = ({ failed: code, name, names, count, number = 0, said }: z.infer<typeof failed>): string => {
  switch (code) {
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
    case 'other-account':
      return 'the snapshot is of an account with another group, which could not read it now; put it back by hand (docs/snapshots.md)';
    case 'locked':
      return 'somebody else uses it; `borgserver sessions` shows who is connected';
    case 'no-lock':
      return "borg's lock cannot be taken there; is the disk full?";
    case 'no-such-key':
      return 'the present state has no key of the same repository';
    case 'no-folder':
      return 'a folder above it is gone: make it, with the owner and the mode of the one above';
    case 'no-exchange':
      return 'this file system cannot exchange two folders in one step (renameat2, RENAME_EXCHANGE): put it back by hand (docs/snapshots.md)';
    case 'elsewhere':
      return 'its folder is on another file system, or belongs to another project of a quota: put it back by hand (docs/snapshots.md)';
    case 'no-log':
      return 'it is not append-only, or never was: nothing in it names its transactions';
    case 'no-transaction':
      return `it has no such transaction: the last one is ${number}`;
    case 'present-transaction':
      return 'that is its present transaction';
    case 'no-commit':
      return 'no transaction has this number';
    case 'compacted':
      return `segment ${number} is gone: somebody has compacted since, and that state is not whole any more`;
    case 'changed':
      return 'somebody has just put something else in its place';
    default:
      return printable(said ?? code, 200);
  }
};
