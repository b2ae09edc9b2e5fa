"""Asks the server about a repository, for who may open them all: an admin's session, and a borg that the operator runs here.

Each question is a line, and so is each answer (src/snapshots/questions.ts)."""

import os
import socket

from launcher.server_socket import connected

#: Seconds. A snapshot takes milliseconds, a large one some seconds. If the server does not answer, the session goes on.
PATIENCE = 60
#: The same for a look: the server may have to count objects first. It gives up after a quarter of an hour itself.
LOOK_PATIENCE = 20 * 60
MOST_BYTES = 8192
NO_ANSWER = 'nothing is compacted: the server does not tell whether somebody has to look at this repository first; try again in a minute'


class Keeping:
    """For one session. repos: the folder of all repositories; server: the way to the server, None: there is none yet."""

    def __init__(self, repos: str, server: socket.socket | None = None):
        self.repos = os.path.realpath(repos)
        self.server = server

    def connect(self, path: str) -> None:
        """Called before the session is in its box."""
        self.server = connected(socket.SOCK_STREAM, path, PATIENCE)

    def keep(self, path: str) -> None:
        """Returns once the server has kept the repository at this path, or has failed to: it tells that itself."""
        self.ask(b'', path, PATIENCE)

    def keep_alone(self, path: str) -> bool:
        """The same, under the lock. Whether it was kept."""
        return self.ask(b'+', path, PATIENCE) == b''

    def keep_mine(self, path: str) -> None:
        """The same after a commit under that lock: what has changed since then this session has done."""
        self.ask(b'!', path, PATIENCE)

    def look(self, path: str) -> str:
        """Why this repository must not be compacted now; '' if it may be."""
        answer = self.ask(b'?', path, LOOK_PATIENCE)
        return NO_ANSWER if answer is None else answer.decode('utf-8', 'replace')

    def ask(self, kind: bytes, path: str, patience: int) -> bytes | None:
        """The answer, without its line end; None if there is none."""
        if self.server is None:
            return None
        answer = b''
        try:
            self.server.settimeout(patience)
            self.server.sendall(kind + os.fsencode(os.path.relpath(path, self.repos)) + b'\n')
            while not answer.endswith(b'\n') and len(answer) < MOST_BYTES:
                part = self.server.recv(MOST_BYTES)
                if not part:
                    break
                answer += part
        except OSError:
            pass
        if answer.endswith(b'\n'):
            return answer[:-1]
        # An answer that comes late must not be taken for that to the next question.
        self.server.close()
        self.server = None
        return None
