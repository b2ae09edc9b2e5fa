"""How a session reaches a socket of the server's. It does so before it is in its box."""

import socket


def connected(kind: int, path: str, patience: float) -> socket.socket | None:
    """None where nobody listens. kind: socket.SOCK_STREAM or another; patience: seconds, also for what is said later."""
    server = socket.socket(socket.AF_UNIX, kind)
    server.settimeout(patience)
    try:
        server.connect(path)
    except OSError:
        server.close()
        return None
    return server
