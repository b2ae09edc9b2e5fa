"""What the server's own `maintenance` may, and no session."""

import borg.locking
from borg.repository import Repository


class UnboundedRepository(Repository):
    """Above its quota borg refuses delete, prune and compact, too (borg issue 8948), also on the server: it then finds the quota in
    the repository's config. For this one process it counts as none; the config stays as it is, whatever ends the process."""

    def open(self, *args, **kwargs):
        super().open(*args, **kwargs)
        self.storage_quota = 0


class PatientTimer(borg.locking.TimeoutTimer):
    """Where borg may wait for hours it looks for the lock only once a minute: between frequent backups it would hardly find it free."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sleep_interval = min(self.sleep_interval, 1.0)


def look_often_for_lock():
    borg.locking.TimeoutTimer = PatientTimer
