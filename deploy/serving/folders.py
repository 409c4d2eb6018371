"""Folders: a list of files by path, digest and size, fetched like any artifact, and then the files.

The list is `{"schema": 1, "files": [{"path", "digest", "size"}…]}`; its files lie beside it in the store,
each under its digest (`…/ab/abcd…`), so whoever knows the list's digest can verify all of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from .artifact import Artifact, check_digest_form, read_artifact
from .errors import LoadError
from .sources import is_remote, open_source
from .store import ArtifactCache, file_digest


def is_list(content: bytes) -> bool:
    """Whether an artifact is the list of a folder's files; no ONNX model begins like one."""
    return content[:1] == b"{"


def model_of(folder: Artifact, location: str, cache: Path | None) -> Artifact:
    """The ONNX model at the top of a listed folder: with the list's digest, and the other files beside it.

    Raises:
        LoadError, SourceUnavailable: as `place_folder`.
    """
    files = _parse(folder.content)
    main = _main(files, ".onnx")
    found = {path: _obtain(_sibling(location, digest), digest, cache) for path, digest in files.items()}
    content = read_artifact(found.pop(main), files[main]).content
    return Artifact(content, folder.digest, found)


def place_folder(listing: bytes, location: str, cache: Path, target: Path, main: str = "") -> None:
    """Put every file of the list into `target`, verified; `location` is where the list itself came from.

    main: the one file at the top with this suffix is put under this name.

    Raises:
        LoadError: it is no such list, or a file is not what the list says; SourceUnavailable: not now.
    """
    files = _parse(listing)
    names = {path: path for path in files}
    if main:
        names[_main(files, PurePosixPath(main).suffix)] = main
    for path, digest in files.items():
        place = target / names[path]
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.draft")
        shutil.copyfile(_obtain(_sibling(location, digest), digest, cache), draft)
        draft.replace(place)


def _main(files: Iterable[str], suffix: str) -> str:
    """The one file at the top with this suffix."""
    found = [path for path in files if "/" not in path and path.endswith(suffix)]
    if len(found) != 1:
        raise LoadError(f"the folder has {len(found)} files *{suffix} at its top; exactly one is needed")
    return found[0]


def put(content: bytes, path: Path) -> None:
    """Write a file so that a reader sees the whole of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)


def _parse(listing: bytes) -> dict[str, str]:
    """Digests by path; what would leave the folder is refused."""
    try:
        document = json.loads(listing)
        files = {str(item["path"]): str(item["digest"]) for item in document["files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError("the artifact is no list of a folder's files") from error
    for path, digest in files.items():
        if path.startswith("/") or not path or {"", ".", ".."} & set(path.split("/")):
            raise LoadError(f"the list names {path!r}, which does not lie in the folder")
        if not digest:
            raise LoadError(f"the list gives no digest of {path!r}")
        check_digest_form(digest)
    return files


def _sibling(location: str, digest: str) -> str:
    """Where the store that has the list keeps another content."""
    name = digest.removeprefix("sha256:")
    store, _, _ = location.rpartition("/")
    store, separator, _ = store.rpartition("/")
    if not separator:
        raise LoadError(f"{location!r} is not where a store keeps content by digest")
    return f"{store}/{name[:2]}/{name}"


def _obtain(location: str, digest: str, cache: Path | None) -> Path:
    """The verified file, streamed: a folder may be larger than the memory of the pod."""
    if is_remote(location) and cache is not None:
        store = ArtifactCache(cache)
        path = store.fetch(digest, lambda: open_source(location))
        if file_digest(path) == digest:
            return path
        store.discard(digest)
        return store.fetch(digest, lambda: open_source(location))
    try:
        actual = file_digest(Path(location))
    except OSError as error:
        raise LoadError(f"{location} cannot be read: {error.strerror}") from error
    if actual != digest:
        raise LoadError(f"{location} has the digest {actual}, expected {digest}")
    return Path(location)
