"""`python -m deploy.serving`: bind first, so that a taken port fails before anything is loaded."""

from __future__ import annotations

import errno
import os
import socket
import sys

from .config import Options, parse_options

EXIT_USAGE = 2
EXIT_PORT_IN_USE = 4


def bind(host: str, port: int) -> socket.socket:
    """A bound socket, not yet listening. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def main() -> int:
    """Parse options, bind, serve; returns the exit code."""
    options = parse_options()
    try:
        listener = bind(options.host, options.port)
    except OSError as error:
        return _cannot_listen(options, error)
    if options.port == 0:
        print(f"slipway-serving: listening on port {listener.getsockname()[1]}", file=sys.stderr, flush=True)
    # numpy's own thread pool would only compete with ONNX Runtime's.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from .server import serve  # after the lines above, and after the port is known to be ours

    code = serve(options, listener)
    sys.stdout.flush()
    sys.stderr.flush()
    # A model run that hangs, or a load that goes on, must not keep the process: nobody waits for it.
    os._exit(code)


def _cannot_listen(options: Options, error: OSError) -> int:
    where = f"{options.host}:{options.port}"
    if error.errno == errno.EADDRINUSE:
        print(f"slipway-serving: {where} is in use; choose another --port", file=sys.stderr)
        return EXIT_PORT_IN_USE
    print(f"slipway-serving: cannot listen on {where}: {error.strerror}", file=sys.stderr)
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
