"""Asks the server to keep the state of a repository before an admin's session opens it: an admin's key opens them all."""

import os
import socket

from launcher.server_socket import connected

#: Seconds. A snapshot takes milliseconds, a large one some seconds. If the server does not answer, the session goes on.
PATIENCE = 60


class Keeping:
    """For one session. repos: the folder of all repositories."""

    def __init__(self, repos: str):
        self.repos = os.path.realpath(repos)
        self.server: socket.socket | None = None

    def connect(self, path: str) -> None:
        """Called before the session is in its box."""
        self.server = connected(socket.SOCK_STREAM, path, PATIENCE)

    def keep(self, path: str) -> None:
        """Returns once the server has kept the repository at this path, or has failed to: it tells that itself."""
        if self.server is None:
            return
        try:
            self.server.sendall(os.fsencode(os.path.relpath(path, self.repos)) + b'\n')
            if self.server.recv(1):
                return
        except OSError:
            pass
        # An answer that comes late must not be taken for that to the next question.
        self.server.close()
        self.server = None
