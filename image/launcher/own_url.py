"""How a repository is called on this server, by the operator's settings."""

import os


def url(path: str) -> str:
    """Of what lies at this path, for the account of this session. It names nothing but what the account may open."""
    # By sshd's configuration (SetEnv). No client can send a variable of this name: AcceptEnv is not there.
    return 'ssh://%s@%s%s' % (os.environ.get('USER', ''), os.environ.get('BORGSERVER_ADDRESS', 'HOST:PORT'), path)
