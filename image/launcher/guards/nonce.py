"""An append-only session must not lower the counter of the encryption: its values would be used twice (AES-CTR)."""

from borg.helpers import Error
from borg.repository import Repository


class NonceRepository(Repository):
    def commit_nonce_reservation(self, next_unreserved, start_nonce):
        if self.append_only and not (self.do_lock and next_unreserved > (start_nonce or 0)):
            raise Error('this server only raises the nonce of a repository, and only with its lock')
        return super().commit_nonce_reservation(next_unreserved, start_nonce)
