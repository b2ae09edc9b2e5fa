"""The counter of the encryption never goes back: what an append-only session lowers would be used twice (AES-CTR)."""

from borg.helpers import Error
from borg.repository import Repository


class NonceRepository(Repository):
    def commit_nonce_reservation(self, next_unreserved, start_nonce):
        if self.append_only and not (self.do_lock and next_unreserved > (start_nonce or 0)):
            raise Error('this server reserves nonces upwards, and only with the lock of the repository')
        return super().commit_nonce_reservation(next_unreserved, start_nonce)
