"""What root's account database says about the account of this session."""

import os
import pwd
import re

from launcher.ending import end

# As the server writes it (src/host/account-database.ts).
QUOTA = re.compile(r'borgserver quota=([0-9]+)(?: .*)?')


def quota_words(name: str | None = None) -> list[str]:
    """The quota that the account's key file sets, as the last word of the command line: it overrides the role's. root's account
    database has it as the comment of the account. name: the USER that sshd has set; no client can choose it. All accounts may have
    one uid (IDENTITIES=shared). A session whose account is gone must not go on: it would have no quota."""
    try:
        account = pwd.getpwuid(os.getuid()) if name is None else pwd.getpwnam(name)
    except KeyError:
        account = None
    if account is None or account.pw_uid != os.getuid():
        end('This account is no longer on this server.')
    return words_of(quota_of(account.pw_gecos))


def words_of(quota: int | None) -> list[str]:
    """For borg's command line."""
    return [] if quota is None else ['--storage-quota=%d' % quota]


def quota_of(comment: str) -> int | None:
    """Bytes; None where the quota of the role applies. comment: the field of the account's line in passwd(5)."""
    found = QUOTA.fullmatch(comment)
    return int(found.group(1)) if found else None


