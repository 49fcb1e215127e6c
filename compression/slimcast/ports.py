"""TCP ports of this machine: which can be listened on."""

import socket


def check_port(host: str, port: int) -> None:
    """Make sure that a server could listen there.

    Raises:
        OSError: it could not: somebody does already (EADDRINUSE), or the address is none of this machine's.

    """
    with _socket(host) as probe:
        # As servers do: a port that was given up a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on; another process may take it before you do."""
    with _socket(host) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
