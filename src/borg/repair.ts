import { execa } from 'execa';
import { findBorg } from './interpreter.ts';
import { MAX_CONFIG_BYTES } from './repository-config.ts';
import type { Target } from './target.ts';

/** What a client that is not borg, or a power cut, can damage in a repository, and the owner's borg does not repair. */
export const REPAIRS = ['nonce', 'former-keys', 'integrity', 'config'] as const;
export type Repair = (typeof REPAIRS)[number];

/** No honest client has counted beyond this. borg gives up at 2 ** 64. */
export const SPENT = '1000000000000000';
/** 2 ** 48 blocks are 4 PiB. That is more than any client has honestly counted, so that no number is used twice (AES-CTR). */
export const ABOVE_ALL = '0001000000000000';

/**
 * Enters the folder part by part, follows no link, and changes what it found through that descriptor. It runs as the owner, so it cannot
 * do more than the owner, whatever a path leads to meanwhile.
 */
const SCRIPT = `
import os, re, stat, sys
root, relative, what = sys.argv[1:]
folder = os.open(root, os.O_PATH | os.O_DIRECTORY)  # no account may list it
for part in relative.split('/'):
    folder = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
os.umask(0o007)
if what == 'nonce':
    file = os.open('nonce', os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        sys.exit('its file nonce is no file')
    digits = os.read(file, 64).decode('ascii', 'replace').strip()
    if not re.fullmatch('[0-9a-f]{16}', digits) or digits < '${SPENT}':
        sys.exit('its counter is not at its end: nothing was changed')
    new = 'nonce.%d.tmp' % os.getpid()
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o660, dir_fd=folder)
    os.write(file, b'${ABOVE_ALL}')
    os.fsync(file)
    os.rename(new, 'nonce', src_dir_fd=folder, dst_dir_fd=folder)
elif what == 'integrity':
    for name in os.listdir(folder):
        if re.fullmatch('integrity[.][0-9]{1,15}', name):
            os.unlink(name, dir_fd=folder)
elif what == 'config':
    def read(name):
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except FileNotFoundError:
            return b''
        return os.read(file, ${MAX_CONFIG_BYTES}) if stat.S_ISREG(os.fstat(file).st_mode) else b''
    form = rb'\\s*\\[repository\\]\\n(.*\\n)*id = [0-9a-f]{64}\\n(.*\\n)*'
    if re.fullmatch(form, read('config')):
        sys.exit('its config is whole: nothing was changed')
    former = read('config.old')
    if not re.fullmatch(form, former):
        sys.exit('there is no former config: nothing was changed')
    new = 'config.%d.tmp' % os.getpid()
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o660, dir_fd=folder)
    os.write(file, former)
    os.fsync(file)
    os.rename(new, 'config', src_dir_fd=folder, dst_dir_fd=folder)
else:
    keys = os.open('former-keys', os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    for name in os.listdir(keys):
        os.unlink(name, dir_fd=keys)
    os.rmdir('former-keys', dir_fd=folder)
`;

/**
 * Repairs one thing in a repository, as its owner. `nonce`: a client has raised the counter of the encryption to its end; this sets it back
 * to a number above all that were ever used. `former-keys`: removes the keys that append-only clients have replaced. `integrity`: removes
 * the checksums of index and hints, which borg makes again. `config`: puts back the former config that borg left behind.
 *
 * @param relative the repository below root
 * @returns null, or why nothing was changed
 */
export const repairRepository = async (
  root: string,
  relative: string,
  { uid, gid }: Pick<Target, 'uid' | 'gid'>,
  what: Repair,
): Promise<string | null> => {
  const { exitCode, stderr } = await execa(findBorg().python, ['-I', '-c', SCRIPT, root, relative, what], {
    ...{ uid, gid, cwd: '/', stdin: 'ignore', reject: false, extendEnv: false },
    env: { LC_ALL: 'C.UTF-8' },
  });
  return exitCode === 0 ? null : (stderr.trim().split('\n').at(-1) ?? 'it failed');
};
