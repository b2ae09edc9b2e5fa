"""What a repository takes along from its present state when it is put back: the counter of its encryption, the keys that append-only clients have
replaced, and, if somebody asks, its key.

The present state is its account's, so all of it may be a lie, and may change while it is read."""

import contextlib
import os
import re
import stat

from snapshots.folders import FOLDER, PLAIN, Changed, Odd, opened
from snapshots.keep import FILE_MODE, FOLDER_MODE, Owner, hand_over, write_all
from snapshots.take import COPIED

NONCE, CONFIG, FORMER_KEYS = 'nonce', 'config', 'former-keys'
#: As src/borg/former-keys.ts has them.
FORMER_KEY, MOST_FORMER_KEYS = re.compile(r'\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-\d\d'), 100
SNAPSHOT, NUMBER = re.compile(r'\d{1,9}@[-\dT:]+Z'), re.compile(b'[0-9a-f]{16}')
#: No honest client has counted beyond this. borg gives up at 2 ** 64. See src/borg/repair.ts.
SPENT = 1 << 60
#: In blocks of 16 bytes: 4 PiB. So much more no honest client has written meanwhile.
AHEAD = 1 << 48


def carry(present: int | None, tree: int, snapshots: int, owner: Owner, keep_key: bool) -> list[str]:
    """present: a descriptor of the repository's folder, None if there is none. tree: of the new one. snapshots: of the folder with all its
    snapshots. Returns the names of the former keys that both have now. Raises NoSuchKey and OSError."""
    names = [name for name in os.listdir(snapshots) if SNAPSHOT.fullmatch(name)]
    known = [read('%s/repository/%s' % (name, NONCE), snapshots) for name in names] + [read(NONCE, tree)]
    if (least := least_nonce(known, b'' if present is None else read(NONCE, present, owner))) is not None:
        put(tree, NONCE, b'%016x' % least, owner)
    if keep_key:
        put(tree, CONFIG, with_key_of(b'' if present is None else read(CONFIG, present, owner), read(CONFIG, tree)), owner)
    return [] if present is None else carry_former_keys(present, tree, owner)


def least_nonce(known: list[bytes], present: bytes) -> int | None:
    """Below this the counter must not be: a number that is used twice tells the texts (AES-CTR). A client counts on from the higher one of this and
    its own. Every snapshot is asked, not only the one that is put back: between two undos the counter may have been higher.

    A thief may have raised it to its end, and then no honest client could go on: that one does not count. Or he has lowered or removed it: then
    nobody knows how far it was counted. In both cases what is known is far exceeded. None: nobody encrypts there."""
    found = [int(text, 16) for text in known if NUMBER.fullmatch(text)]
    if not found and not NUMBER.fullmatch(present):
        return None
    now = int(present, 16) if NUMBER.fullmatch(present) else -1
    honest = 0
    for each in sorted([*found, now]):
        # What an honest client has counted from there is not spent, either.
        if each < SPENT or each <= honest + 2 * AHEAD:
            honest = max(honest, each)
    return honest if now == honest else honest + AHEAD


def carry_former_keys(present: int, tree: int, owner: Owner) -> list[str]:
    """By a second name for the same file: so whoever could read it can, and nobody else. One that cannot be carried stays where it is."""
    carried: list[str] = []
    with contextlib.suppress(Changed, Odd), opened(FORMER_KEYS, FOLDER, present) as keys:
        names = sorted(name for name in os.listdir(keys) if FORMER_KEY.fullmatch(name))[:MOST_FORMER_KEYS]
        if not names:
            return carried
        os.mkdir(FORMER_KEYS, dir_fd=tree)
        with opened(FORMER_KEYS, FOLDER, tree) as into:
            for name in names:
                with contextlib.suppress(Changed, Odd, OSError), opened(name, PLAIN, keys) as file:
                    if owner.has(os.fstat(file)):
                        os.link('/proc/self/fd/%d' % file, name, dst_dir_fd=into, follow_symlinks=True)
                        carried.append(name)
            hand_over(into, owner, FOLDER_MODE)
    return carried


def drop_former_keys(names: list[str], former: int) -> None:
    """Once the new tree is in place. former: the repository's folder until then."""
    with contextlib.suppress(Changed, Odd, OSError), opened(FORMER_KEYS, FOLDER, former) as keys:
        for name in names:
            os.unlink(name, dir_fd=keys)


class NoSuchKey(Exception):
    """The present state has no key that opens the other one."""


def with_key_of(present: bytes, other: bytes) -> bytes:
    """The other config with the present one's key, and nothing else of it. Both are ini files as borg writes them: the first line of a value begins
    at the margin, the others are indented."""
    identity = value(present, b'id')
    if not identity or identity != value(other, b'id') or not value(present, b'key') or not value(other, b'key'):
        raise NoSuchKey
    return other.replace(value(other, b'key'), value(present, b'key'), 1)


def value(config: bytes, name: bytes) -> bytes:
    """Its lines, with its name; nothing if it is not there, or there twice."""
    found = re.findall(rb'^%s ?=.*\n(?:[ \t].*\n)*' % name, config, re.MULTILINE)
    return found[0] if len(found) == 1 else b''


def read(name: str, folder: int, owner: Owner | None = None) -> bytes:
    """Nothing if it is not there, is no plain file, has more bytes than it may, or is not the account's: what is read there comes back to it.

    owner: None in a folder of root's own."""
    most = COPIED[os.path.basename(name)]
    with contextlib.suppress(Changed, Odd), opened(name, PLAIN, folder) as file:
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and (owner is None or owner.has(status)):
            text = os.read(file, most + 1)
            return text if len(text) <= most else b''
    return b''


def put(folder: int, name: str, text: bytes, owner: Owner) -> None:
    """Replaces a file in one step. The folder is the account's already: so nothing there is followed or opened."""
    new = '.%s.new' % name
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new, dir_fd=folder)
    with opened(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, folder) as file:
        write_all(file, text)
        hand_over(file, owner, FILE_MODE)
        os.fsync(file)
    os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
