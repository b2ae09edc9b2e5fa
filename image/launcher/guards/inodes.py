"""The brake on tiny segments.

Each commit and each manifest begins a new file. So a client that only makes these could use up the inodes of all accounts; borg's quota
does not count inodes. If the account has made WINDOW files within SECONDS, and they hold little data each, it waits before the next one: a
second, and longer if there are more. So many sessions at once make hardly more files than one. A client that works on one archive after the
other (recreate, rename, an import) makes files as fast, for a while. So an account does not wait until it has made a certain number of files
within a day. That number is for the whole account, not for each of its sessions.

The files on the disk are counted, in all repositories of the account. So new sessions or new repositories do not help a client, and it has no
call that renames a repository. Files that it deletes or compacts are gone, and do not count. The count needs no record of its own. The
account's files are those below its folder, even if several accounts have one uid."""

import bisect
import os
import re
import stat
import time

from borg.repository import Repository

from launcher.depth import DEEPEST

MANIFEST = bytes(32)
#: So many files within so many seconds cause no wait: some seventy backups.
WINDOW, SECONDS = 300, 100
#: Files that hold more bytes than this on average cause no wait: a backup of much data makes many files, too.
LEAST = 1_000_000
#: Seconds that each file above the window adds to the wait; the longest wait in seconds.
STEP, MOST_WAITING = 1 / 3, 60
#: The count stops at this number of files.
MOST = WINDOW + round(MOST_WAITING / STEP)
#: So many files within a day cause no wait, however fast they come: a recreate of some two thousand archives.
DAY, FREE = 24 * 3600, 10_000
#: A session counts the files of the day again after it has made this part (1/200) of those left. So fifty sessions at once hardly exceed FREE.
PART_OF_REST = 200
# The most folders to look at: a hostile account may have more.
MOST_FOLDERS = 20_000
NUMBER = re.compile('[0-9]{1,10}')


def numbers(folder):
    """The entries whose name is a number, the highest first; none if another session has just removed the folder."""
    try:
        return sorted(map(int, filter(NUMBER.fullmatch, os.listdir(folder))), reverse=True)
    except OSError:
        return []


def look(path):
    """The entry's status; None if another session has just removed it."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def made(repository, since):
    """How many segments this repository has got since then (seconds of the epoch), and how many bytes they hold. A number that is missing
    between two others counts, too: that segment was made and compacted since then."""
    newest, count, size = None, 0, 0
    data = os.path.join(repository, 'data')
    for part in numbers(data):
        folder = os.path.join(data, str(part))
        found = look(folder)
        # Making or removing a file changes the time of its folder: in this one and all older ones nothing is new.
        if found is not None and found.st_mtime < since:
            break
        for segment in numbers(folder):
            found = look(os.path.join(folder, str(segment)))
            if found is None:
                continue
            if found.st_mtime < since or count >= MOST:
                return count, size
            newest = segment if newest is None else newest
            count, size = newest - segment + 1, size + found.st_size
    return count, size


def made_since(repository, since):
    """About how many segments this repository has got since then, computed from their numbers: to look at each would take too long."""
    data = os.path.join(repository, 'data')
    newest, oldest = None, None
    for part in numbers(data):
        folder = os.path.join(data, str(part))
        found = look(folder)
        if found is not None and found.st_mtime < since:
            break
        segments = numbers(folder)
        if not segments:
            continue
        # The newest comes first. A segment that has just been removed counts as old.
        later = bisect.bisect_left(segments, True, key=lambda each: not is_later(os.path.join(folder, str(each)), since))
        if later > 0:
            newest, oldest = segments[0] if newest is None else newest, segments[later - 1]
        if later < len(segments):
            break
    return 0 if newest is None or oldest is None else newest - oldest + 1


def is_later(path, since):
    found = look(path)
    return found is not None and found.st_mtime >= since


def is_repository(folder):
    data, config = look(os.path.join(folder, 'data')), look(os.path.join(folder, 'config'))
    # A repository inside an account's folder may be called `config`.
    return data is not None and config is not None and stat.S_ISDIR(data.st_mode) and not stat.S_ISDIR(config.st_mode)


def repositories(top):
    """The repositories at and below this folder. No link is followed."""
    left, looked = [(top, 0)], 0
    while left and looked < MOST_FOLDERS:
        path, depth = left.pop()
        looked += 1
        if is_repository(path):
            yield path
        elif depth < DEEPEST:
            try:
                with os.scandir(path) as entries:
                    left += [(entry.path, depth + 1) for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                pass


class Allowance:
    """How many files the account may still begin within the day without waiting.

    own: the session's repository; folder: that of all repositories of its account, or None."""

    def __init__(self, own, folder):
        self.own, self.folder = own, folder
        self.unlooked = 0

    def is_left(self):
        if self.unlooked > 0:
            self.unlooked -= 1
            return True
        since = time.time() - DAY
        rest = FREE - made_since(self.own, since)
        for other in repositories(self.folder) if self.folder else ():
            if rest <= 0:
                break
            if other != self.own:
                rest -= made_since(other, since)
        self.unlooked = max(rest, 0) // PART_OF_REST
        return rest > 0


def waiting(allowance):
    """Seconds that a session with this allowance waits before it begins a file in its own repository."""
    own, folder = allowance.own, allowance.folder
    if allowance.unlooked > 0 and allowance.is_left():
        return 0
    since = time.time() - SECONDS
    count, size = made(own, since)
    for other in repositories(folder) if folder else ():
        if count >= MOST and size < count * LEAST:
            break
        if other != own:
            found = made(other, since)
            count, size = count + found[0], size + found[1]
    if count < WINDOW or size >= count * LEAST or allowance.is_left():
        return 0
    return min(1 + (count - WINDOW) * STEP, MOST_WAITING)


class SlowedRepository(Repository):
    """counted: the folder below which the account has several repositories, which count together. None if it has only one, or is an admin:
    then each repository counts alone."""

    counted = None
    allowance = None

    def wait_for_turn(self):
        if self.io is None:
            return
        own = os.path.realpath(self.path)
        if self.allowance is None or self.allowance.own != own:
            self.allowance = Allowance(own, self.counted and os.path.realpath(self.counted))
        time.sleep(waiting(self.allowance))

    def commit(self, *args, **kwargs):
        self.wait_for_turn()
        return super().commit(*args, **kwargs)

    def put(self, id, data, wait=True):
        if id == MANIFEST:
            self.wait_for_turn()
        return super().put(id, data, wait)

    def delete(self, id, wait=True):
        if id == MANIFEST:
            self.wait_for_turn()
        return super().delete(id, wait)
