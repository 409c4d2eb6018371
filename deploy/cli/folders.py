"""A version that is a folder: fetched file by file, each verified, and put in its place as a whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from deploy.cli.client import Client, Document
from deploy.cli.errors import CliError
from deploy.cli.files import digest_of, download


def download_folder(client: Client, path: str, target: Path, digest: str) -> None:
    """Fetch the folder of the version at `/api/v1/{path}` to `target`, which must not be there yet.

    What came is kept in `.{name}.{digest}.parts` until all of it is there, so the next run goes on.
    """
    files = client.get(f"{path}/files")["items"]
    found = manifest_digest(files)
    if found != digest:
        raise CliError(f"{target}: the list of files has the digest {found}, not {digest}.")
    parts = target.with_name(f".{target.name}.{digest[-16:]}.parts")
    for file in files:
        place = parts / safe_path(file["path"])
        if not (place.exists() and digest_of(place) == file["digest"]):
            download(
                client,
                f"{path}/files/{quote(file['path'])}",
                place,
                size=file["size"],
                digest=file["digest"],
            )
    try:
        os.replace(parts, target)
    except OSError as error:
        raise CliError(f"{target}: {error.strerror}") from error


def manifest_digest(files: Sequence[Document]) -> str:
    """The digest of a folder: SHA-256 of its manifest, the sorted files as canonical JSON."""
    entries = [
        {"path": f["path"], "digest": f["digest"], "size": f["size"]}
        for f in sorted(files, key=lambda f: (f["path"], f["digest"], f["size"]))
    ]
    document = {"schema": 1, "files": entries}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def safe_path(text: str) -> PurePosixPath:
    """A path that stays inside the folder, whatever the server says."""
    path = PurePosixPath(text)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in text or "\x00" in text:
        raise CliError(f"The server names a file outside the folder: {text!r}.")
    return path
