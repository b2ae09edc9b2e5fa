import { execa } from 'execa';
import { failure } from '../failure.ts';
import { printable } from '../text/printable.ts';
import { DEEPEST } from './walk.ts';

/** What gives rights in a folder beyond its owner, its group and its mode. */
export type ExtendedRights = {
  readonly count: number;
  /** The first few, in words fit for a terminal: the path below the folder. */
  readonly examples: readonly string[];
};

/** The time for one folder, the same as for its owners (foreign-entries.ts). A tenant who fills it must not keep `doctor` from the next one. */
const PATIENCE_SECONDS = 15 * 60;

/**
 * Looks through folders and finds, or removes, POSIX ACLs (acl(5)) and the capabilities of files (capabilities(7)). A change of
 * owner or mode leaves an ACL as it is, and a mode that opens a file to its group opens it to everybody whom the ACL names.
 *
 * Node has no call for it, but Python is wherever borg is. Folders are entered by descriptor and no link is followed, so an entry
 * that is exchanged meanwhile leads it nowhere. Where a file system has no ACLs or capabilities (ENOTSUP), there are none. A
 * file's capabilities go when its owner changes; without SETFCAP nothing else can remove them.
 */
const SCRIPT = `
import errno, json, os, sys, time

RIGHTS = ('system.posix_acl_access', 'system.posix_acl_default', 'security.capability')
GONE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
DEEPEST, EXAMPLES = ${DEEPEST}, 3
remove, patience = sys.argv[1] == 'remove', float(sys.argv[2])


class Walk:
    def __init__(self):
        self.count, self.examples = 0, []
        self.until = time.monotonic() + patience

    def entry(self, path, shown):
        if time.monotonic() > self.until:
            raise OSError(errno.ETIME, 'too-much')
        try:
            rights = [name for name in os.listxattr(path, follow_symlinks=False) if name in RIGHTS]
        except OSError as error:
            if error.errno in GONE or error.errno == errno.ENOTSUP:
                return
            raise
        for name in rights if remove else ():
            try:
                os.removexattr(path, name, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (*GONE, errno.ENODATA) and name != RIGHTS[2]:
                    raise
        if rights:
            self.count += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(shown or '.')

    def folder(self, folder, shown, depth):
        place = '/proc/self/fd/%d/' % folder
        self.entry(place + '.', shown)
        if depth > DEEPEST:
            raise OSError(errno.ELOOP, 'too-deep')
        with os.scandir(folder) as entries:
            for entry in entries:
                below = (shown + '/' if shown else '') + entry.name
                if not entry.is_dir(follow_symlinks=False):
                    self.entry(place + entry.name, below)
                    continue
                try:
                    inner = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                except OSError as error:
                    if error.errno in GONE:
                        continue
                    raise
                try:
                    self.folder(inner, below, depth + 1)
                finally:
                    os.close(inner)


for path in filter(None, sys.stdin.buffer.read().split(b'\\0')):
    walk, failed = Walk(), None
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            walk.folder(top, '', 1)
        finally:
            os.close(top)
    except OSError as error:
        failed = error.strerror
    print(json.dumps({'count': walk.count, 'examples': walk.examples, 'failed': failed}), flush=True)
`;

type Told = { readonly count: number; readonly examples: readonly string[]; readonly failed: string | null };

const walk = async (
  what: 'look' | 'remove',
  folders: readonly string[],
  patience: number | 'inf',
  cancelSignal?: AbortSignal,
): Promise<readonly Told[]> => {
  const { stdout } = await execa('python3', ['-I', '-c', SCRIPT, what, String(patience)], {
    input: folders.map((folder) => `${folder}\0`).join(''),
    ...(cancelSignal && { cancelSignal }),
  });
  return stdout.split('\n').map((line): Told => JSON.parse(line));
};

/**
 * Looks through whole folders, all in one process.
 *
 * @param folders absolute paths; a link is not followed
 * @param patience seconds for each
 * @returns one for each folder; null where it could not be read, or not within that time
 * @throws execa's error where Python cannot be run
 */
export const findExtendedRights = async (
  folders: readonly string[],
  patience = PATIENCE_SECONDS,
): Promise<readonly (ExtendedRights | null)[]> =>
  folders.length === 0
    ? []
    : (await walk('look', folders, patience)).map(({ count, examples, failed }) =>
        failed === null ? { count, examples: examples.map((each) => printable(each)) } : null,
      );

/**
 * Takes them from everything in a folder.
 *
 * @param folder best through a descriptor
 * @throws execa's error; Error with cause `{ code: 'too-deep', most }`, or `{ code: 'extended-rights', found }` where the system refuses
 */
export const removeExtendedRights = async (folder: string, signal: AbortSignal): Promise<void> => {
  const [told] = await walk('remove', [folder], 'inf', signal);
  if (told?.failed === 'too-deep')
    throw failure('its folders are nested too deeply', { code: 'too-deep', most: DEEPEST });
  if (told?.failed !== null)
    throw failure('ACLs and capabilities of its files could not be removed', {
      code: 'extended-rights',
      found: told?.failed ?? 'no answer',
    });
};
