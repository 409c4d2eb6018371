"""S3 services for the benchmark: LocalStack keeps objects on disk; moto, the way out, in memory."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.peers import PeerUnavailable, environment
from tests.servers.process import ended
from tests.servers.waiting import free_port

HERE = Path(__file__).resolve().parent
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
# moto holds an object several times in memory while it puts it together.
MOTO_MOST = 1_000_000_000
_MOTO_MEMORY = 18 << 30


@dataclass(frozen=True)
class Service:
    """How to start an S3 service at `url`; `most` is the largest object it can take, in bytes."""

    name: str
    url: str
    ready: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    most: int | None
    limit: Callable[[], None] | None = None


def choose(home: Path) -> Service:
    """LocalStack from its pinned list, or moto where no package index can be reached; files lie in `home`."""
    port = free_port()
    url, temporary = f"http://127.0.0.1:{port}", {"TMPDIR": str(home), "HOME": str(home)}
    try:
        python = environment("localstack", HERE / "localstack.txt")
    except PeerUnavailable as error:
        print(f"no S3 service that keeps objects on disk: {error}; moto takes 1 GB at most")
        command = (str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port))
        return Service("moto", url, url, command, temporary, MOTO_MOST, _bounded)
    settings = {
        "SERVICES": "s3",
        "EAGER_SERVICE_LOADING": "1",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
    }
    command = (str(python), "-m", "localstack.runtime.main")
    return Service("LocalStack", url, f"{url}/_localstack/health", command, {**temporary, **settings}, None)


@contextmanager
def process(command: Sequence[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The running command until the end of the block, its output in `log`."""
    with log.open("ab") as out:
        started = subprocess.Popen(command, stdout=out, stderr=out, **options)
        try:
            yield started
        finally:
            ended(started, signal.SIGTERM)


def bucket(service: Service, name: str) -> None:
    """A new bucket."""
    requests.put(f"{service.url}/{name}", timeout=30).raise_for_status()


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOTO_MEMORY, _MOTO_MEMORY))
