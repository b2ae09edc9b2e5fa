"""What the server's own `maintenance` may do, and no session."""

import borg.locking
from borg.repository import Repository


class UnboundedRepository(Repository):
    """Above its quota borg also refuses delete, prune and compact (borg issue 8948), even on the server, where it reads the quota from the
    repository's config. In this one process there is no quota. The config stays as it is, however the process ends."""

    def open(self, *args, **kwargs):
        super().open(*args, **kwargs)
        self.storage_quota = 0


class PatientTimer(borg.locking.TimeoutTimer):
    """If borg may wait for hours, it tries to take the lock only once a minute: between frequent backups it would rarely find it free."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sleep_interval = min(self.sleep_interval, 1.0)


def look_often_for_lock():
    borg.locking.TimeoutTimer = PatientTimer
