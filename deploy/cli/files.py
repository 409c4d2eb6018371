"""Local files: their digest, and downloads that go on where they were cut off."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.cli.client import Client
from deploy.cli.errors import CliError, Unreachable
from deploy.cli.progress import Progress

if TYPE_CHECKING:
    pass

CHUNK = 1 << 20
# What is lost at most when a connection breaks.
PIECE = 1 << 16
# Connections that may break in a row without a byte having come.
PATIENCE = 8


def digest_of(path: Path, progress: Callable[[int], None] = lambda count: None) -> str:
    """`sha256:…` of a file, as the registry writes it."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
                progress(len(chunk))
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}") from error
    return f"sha256:{found.hexdigest()}"


def download(client: Client, path: str, target: Path, *, size: int, digest: str) -> None:
    """Fetch `/api/v1/{path}` to `target`, which appears whole and verified or not at all.

    What came is kept beside it as `.{name}.{digest}.part`, so the next try, or the next run, asks only
    for the rest.
    """
    part = target.with_name(f".{target.name}.{digest[-16:]}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        with Progress(f"pull {target.name}", size, done=min(_size(part), size)) as progress:
            _fetch(client, path, part, size, digest, progress)
        found = digest_of(part)
        if found != digest:
            part.unlink()
            raise CliError(
                f"{target}: what came has the digest {found}, not {digest}.", hint="Nothing was kept."
            )
        os.replace(part, target)
    except OSError as error:
        raise CliError(f"{error.filename or target}: {error.strerror or error}") from error


def _fetch(client: Client, path: str, part: Path, size: int, digest: str, progress: Progress) -> None:
    tries = 0
    while (have := _size(part)) < size:
        try:
            _append(client, path, part, digest, progress)
        except Unreachable as error:
            tries = tries + 1 if _size(part) == have else 0
            if tries > PATIENCE or not error.again:
                raise
            client.rest(min(0.5 * 2**tries, 20.0))


def _append(client: Client, path: str, part: Path, digest: str, progress: Progress) -> None:
    """One connection: the rest of the file, or the whole when the server does not know ranges."""
    import requests

    have = _size(part)
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": f'"{digest}"'}
    url = f"{client.access.url}/api/v1/{path}"
    response = client.send("GET", url, headers=headers, stream=True, allow_redirects=True)
    with response, part.open("ab" if response.status_code == 206 else "wb") as file:
        progress.at(file.tell())
        try:
            for chunk in response.iter_content(PIECE):
                file.write(chunk)
                progress.add(len(chunk))
        except requests.exceptions.RequestException as error:
            raise Unreachable(f"The download was cut off: {error}", again=True) from error
    if response.status_code == 416 or _size(part) == have:
        part.unlink(missing_ok=True)
        raise Unreachable("The server sent nothing more of the file.", again=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
