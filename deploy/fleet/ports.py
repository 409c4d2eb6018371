"""Free TCP ports for servers."""

import random
import socket
from collections.abc import Container

# Below the range from which Linux and macOS take the local ports of outgoing connections: a port
# found free there could be taken by any client before the server binds it.
FIRST, LAST = 20_000, 31_999


class NoFreePort(OSError):
    """None of the ports tried is free."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(taken: Container[int] = (), host: str = "127.0.0.1") -> int:
    """A port on which nobody listens and that is not in `taken`. Raises NoFreePort."""
    for port in random.sample(range(FIRST, LAST + 1), 500):
        if port not in taken and is_free(port, host):
            return port
    raise NoFreePort(f"no free TCP port found between {FIRST} and {LAST}")
