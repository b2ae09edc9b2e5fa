"""The URL of a repository on this server, by the operator's settings."""

import os


def url(path: str) -> str:
    """The URL of this path, for the account of this session. It names nothing but what the account may open."""
    # sshd's configuration sets the variable (SetEnv). No client can send one of this name: there is no AcceptEnv.
    return 'ssh://%s@%s%s' % (os.environ.get('USER', ''), os.environ.get('BORGSERVER_ADDRESS', 'HOST:PORT'), path)
