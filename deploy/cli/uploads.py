"""Large files and folders on their way to the registry: in parts, and on from where the last run stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.cli.client import Client, Document
from deploy.cli.config import folder
from deploy.cli.errors import CliError, Problem
from deploy.cli.progress import Progress
from deploy.cli.refs import model_path
from deploy.files import BadFile, parse_object, write_json

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A local file to be sent: its place, `sha256:…` and size in bytes."""

    path: Path
    digest: str
    size: int


def upload(client: Client, model: str, source: Source, told: Callable[[int], None]) -> str:
    """The id of a completed upload of the file; only parts that the server lacks are sent.

    told: how many bytes of the file are there, each time that changes.
    """
    remembered = _memory(client, model, source)
    begun = _known(client, model, remembered)
    if begun is None:
        body = {"size": source.size, "digest": source.digest, "filename": source.path.name}
        begun = client.post(model_path(model, "uploads"), body)
        write_json(remembered, {"id": begun["id"]})
    place = model_path(model, "uploads", begun["id"])
    if not begun["complete"]:
        _send_missing(client, place, begun, source, told)
        client.json("POST", f"{place}/complete", headers={"Idempotency-Key": f"complete-{begun['id']}"})
    told(source.size)
    return str(begun["id"])


def forget(client: Client, model: str, source: Source) -> None:
    """The upload became a version: the next one of this file is another."""
    _memory(client, model, source).unlink(missing_ok=True)


def _memory(client: Client, model: str, source: Source) -> Path:
    """Where the id of an unfinished upload is kept; the name tells server, model and content."""
    said = f"{client.access.url} {model} {source.digest} {source.path.name}"
    return folder("CACHE", "~/.cache") / f"upload-{hashlib.sha256(said.encode()).hexdigest()[:24]}.json"


def _known(client: Client, model: str, remembered: Path) -> Document | None:
    """The upload that an earlier run began, if the server still has it."""
    try:
        key = parse_object(remembered.read_bytes())["id"]
    except (OSError, BadFile, KeyError):
        return None
    return client.find(model_path(model, "uploads", key))


def _send_missing(
    client: Client, place: str, begun: Document, source: Source, told: Callable[[int], None]
) -> None:
    size, there = begun["part_size"], set(begun["received"])
    sizes = {number: min(size, source.size - (number - 1) * size) for number in range(1, begun["parts"] + 1)}
    done = sum(sizes[number] for number in there)
    told(done)
    direct = True
    for number in sorted(sizes.keys() - there):
        address = client.get(f"{place}/parts/{number}") if direct else {"direct": False}
        direct = bool(address["direct"])
        url = str(address["url"]) if direct else f"{client.access.url}/api/v1/{place}/parts/{number}"
        stretch = source.path, (number - 1) * size, sizes[number]
        client.persist(partial(_send, client, url, stretch, partial(_add, told, done)))
        done += sizes[number]


def _send(client: Client, url: str, stretch: tuple[Path, int, int], told: Callable[[int], None]) -> None:
    """One part; it may be sent again."""
    with closing(Part(*stretch, told)) as part:
        # Of an empty file there is nothing to read, and what is read would be sent without its length.
        data = part if len(part) else b""
        client.once("PUT", url, data=data, headers={"Content-Type": "application/octet-stream"})


def _add(told: Callable[[int], None], before: int, count: int) -> None:
    told(before + count)


class Part:
    """A stretch of a file, read as it is sent; `read` and `len` are all that requests asks for."""

    def __init__(self, path: Path, start: int, size: int, told: Callable[[int], object]) -> None:
        self._file = path.open("rb")
        self._file.seek(start)
        self._size, self._read, self._told = size, 0, told

    def __len__(self) -> int:
        return self._size

    def read(self, count: int = -1) -> bytes:
        """The next bytes of the stretch; empty at its end."""
        left = self._size - self._read
        data = self._file.read(min(left, PIECE if count < 0 else count)) if left else b""
        self._read += len(data)
        self._told(self._read)
        return data

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def settled(client: Client, model: str, number: int, label: str) -> Document:
    """The version once it is verified and inspected; Problem when it was refused."""
    path = model_path(model, "versions", number)
    version = client.get(path)
    if version["state"] in {"ready", "refused"}:
        return _accepted(version)
    total = (version.get("progress") or {}).get("total_bytes")
    with Progress(f"verify {label}", total) as progress:
        while version["state"] not in {"ready", "refused"}:
            client.rest(1.0)
            version = client.get(path)
            progress.at((version.get("progress") or {}).get("done_bytes") or progress.done)
        progress.at(total or progress.done)
    return _accepted(version)


def _accepted(version: Document) -> Document:
    if version["state"] == "refused":
        why = version.get("problem") or {}
        detail = f"v{version['number']} was refused: {why.get('message', 'no reason given')}"
        raise Problem(422, {**why, "detail": detail, "code": "refused"})
    return version


def sources(root: Path) -> dict[str, Path]:
    """The files of a folder by their paths in it, sorted. Raises CliError for an empty one."""
    found = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    if not found:
        raise CliError(f"{root} holds no file.")
    return found
