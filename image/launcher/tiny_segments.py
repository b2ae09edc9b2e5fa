"""The brake on tiny segments.

Each commit and each manifest begins a new file, so a client that does nothing else could use up the inodes of all, which no quota of
borg's counts. Where the account has made as many within the window, and they hold little each, it waits before the next one: a
second, and longer the more there are, so that many sessions at once make hardly more of them than one.

What is on the disk is counted, in all repositories of the account: neither new sessions nor new repositories help, a client has no call
that renames one, and what it deletes or compacts is no longer there to be counted. Nothing has to be kept for it, and what belongs to
the account is below its folder, also where several accounts have one uid."""

import functools
import os
import re
import stat
import time

from borg.repository import Repository

from launcher.repository_names import DEEPEST

MANIFEST = bytes(32)
#: Files within so many seconds that nobody waits for: some seventy backups.
WINDOW, SECONDS = 300, 100
#: Bytes that a file holds on the average where it is none of these: a backup of much data makes many, too.
LEAST = 1_000_000
#: Seconds more for each file above the window, and at most.
STEP, MOST_WAITING = 1 / 3, 60
#: More files than these are not counted.
MOST = WINDOW + round(MOST_WAITING / STEP)
# What a hostile folder holds beyond is not looked at.
MOST_FOLDERS = 20_000
NUMBER = re.compile('[0-9]{1,10}')


def numbers(folder):
    """The entries that are called by a number, the highest first; none where another session has just removed the folder."""
    try:
        return sorted(map(int, filter(NUMBER.fullmatch, os.listdir(folder))), reverse=True)
    except OSError:
        return []


def look(path):
    """None where another session has just removed it."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def made(repository, since):
    """How many segments this repository has got since then (seconds of the epoch), and how many bytes they hold. One that is missing
    between two others was made and compacted since."""
    newest, count, size = None, 0, 0
    data = os.path.join(repository, 'data')
    for part in numbers(data):
        folder = os.path.join(data, str(part))
        found = look(folder)
        # A file that is made or removed in it is a change of the folder.
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


def is_repository(folder):
    data, config = look(os.path.join(folder, 'data')), look(os.path.join(folder, 'config'))
    # A repository inside an account's folder may be called `config`.
    return None not in (data, config) and stat.S_ISDIR(data.st_mode) and not stat.S_ISDIR(config.st_mode)


def repositories(top):
    """Those at and below this folder. No link is followed."""
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


def waiting(own, folder):
    """Seconds that a session waits before it begins a file in its own repository; folder: of all of its account, or None."""
    since = time.time() - SECONDS
    count, size = made(own, since)
    for other in repositories(folder) if folder else ():
        if count >= MOST and size < count * LEAST:
            break
        if other != own:
            found = made(other, since)
            count, size = count + found[0], size + found[1]
    if count < WINDOW or size >= count * LEAST:
        return 0
    return min(1 + (count - WINDOW) * STEP, MOST_WAITING)


def install(folder):
    """folder: below which the account has several repositories; None where it has one, or is an admin, who counts by the repository."""

    def at_leisure(method, which=None):
        @functools.wraps(method)
        def call(self, *args, **kwargs):
            if (which is None or which in (kwargs.get('id'), *args[:1])) and self.io is not None:
                time.sleep(waiting(os.path.realpath(self.path), folder and os.path.realpath(folder)))
            return method(self, *args, **kwargs)

        return call

    Repository.commit = at_leisure(Repository.commit)
    Repository.put = at_leisure(Repository.put, MANIFEST)
    Repository.delete = at_leisure(Repository.delete, MANIFEST)
