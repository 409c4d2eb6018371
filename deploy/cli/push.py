"""Registering a version: the file is digested here, sent as a stream, and the answer's digest compared."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.cli.client import Client, Document
from deploy.cli.errors import CliError, Problem
from deploy.cli.files import digest_of
from deploy.cli.folders import manifest_digest
from deploy.cli.multipart import Form
from deploy.cli.progress import Progress
from deploy.cli.refs import model_path
from deploy.cli.uploads import Source, forget, settled, sources, upload

# From here on a file goes in parts, which can be resumed; below, one request is quicker.
PARTS_FROM = 64 << 20


@dataclass(frozen=True)
class Push:
    """What to register: a file or a folder, and `metadata` as the API takes it."""

    model: str
    artifact: Path
    metadata: Mapping[str, Any]
    reference: Path | None = None
    reason: str = ""

    def parts(self) -> dict[str, Path]:
        """The files by their paths in the folder, or the one file under ""."""
        return sources(self.artifact) if self.artifact.is_dir() else {"": self.artifact}

    def key(self, digests: Mapping[str, str]) -> str:
        """The same for the same content, so that a job that runs twice registers once (kept for a day)."""
        said = [self.model, self.artifact.name, dict(digests), dict(self.metadata), self.reason]
        return f"push-{hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()}"


def push(client: Client, what: Push, *, key: str | None = None, wait: bool = True) -> tuple[Document, bool]:
    """The registered version, and whether it had been registered before.

    wait: until a version that came in parts is verified and inspected. Raises Problem when it is refused.
    """
    files = what.parts()
    found = {path: _source(place) for path, place in files.items()}
    reference = _source(what.reference) if what.reference else None
    total = sum(source.size for source in found.values())
    if what.artifact.is_dir() or total >= PARTS_FROM:
        answer, replayed = _in_parts(client, what, found, reference, key)
        if wait:
            answer = settled(client, what.model, answer["number"], what.artifact.name)
    else:
        answer, replayed = _at_once(client, what, found[""], reference, key)
    if answer["digest"] != (digest := _digest(found)):
        raise CliError(
            f"v{answer['number']} was registered with the digest {answer['digest']}, but "
            f"{what.artifact} has {digest}.",
            hint="The file changed while it was sent, or was damaged on the way: do not release it.",
        )
    return answer, replayed


def ensure_model(client: Client, name: str, team: str) -> bool:
    """Make the model unless it is there; whether it was made."""
    if client.find(model_path(name)) is not None:
        return False
    try:
        client.post("models", {"name": name, "owner_team": team}, key=secrets.token_hex(16))
    except Problem as problem:
        # Another job made it in the meantime.
        if problem.status != 409:
            raise
        return False
    return True


def _source(path: Path) -> Source:
    """The file with its digest, computed here."""
    size = path.stat().st_size
    if size < PARTS_FROM:
        return Source(path, digest_of(path), size)
    with Progress(f"digest {path.name}", size) as progress:
        return Source(path, digest_of(path, progress.add), size)


def _digest(found: Mapping[str, Source]) -> str:
    """The digest that the version must have: the file's, or that of the folder's manifest."""
    if "" in found:
        return found[""].digest
    return manifest_digest([{"path": p, "digest": s.digest, "size": s.size} for p, s in found.items()])


def _at_once(
    client: Client, what: Push, artifact: Source, reference: Source | None, key: str | None
) -> tuple[Document, bool]:
    """One request, repeated as a whole when the connection breaks: the key makes that safe."""
    sent = {"artifact": artifact} | ({"reference": reference} if reference else {})
    key = key or what.key({name: source.digest for name, source in sent.items()})
    fields = {"metadata": json.dumps(what.metadata)} | ({"reason": what.reason} if what.reason else {})
    files = {name: source.path for name, source in sent.items()}
    return _send(client, model_path(what.model, "versions"), fields, files, key, f"push {what.artifact.name}")


def send_reference(client: Client, version: str, reference: Path, reason: str) -> Document:
    """The version at the API's path `version` with the profile that the server computed from the file."""
    key = f"baseline-{hashlib.sha256(f'{version} {digest_of(reference)}'.encode()).hexdigest()}"
    fields = {"reason": reason} if reason else {}
    made, _ = _send(
        client, f"{version}/profile", fields, {"reference": reference}, key, f"send {reference.name}"
    )
    return made


def _send(
    client: Client, path: str, fields: Mapping[str, str], files: Mapping[str, Path], key: str, told: str
) -> tuple[Document, bool]:
    """One form, sent again as a whole when the connection breaks; the answer, and whether it is old."""
    url = f"{client.access.url}/api/v1/{path}"

    def once() -> tuple[Document, bool]:
        form = Form(fields, files)
        headers = {"Content-Type": form.content_type, "Idempotency-Key": key}
        with Progress(told, len(form)) as progress:
            form.sent = progress.at
            response = client.once("POST", url, data=form, headers=headers)
        return response.json(), response.headers.get("Idempotent-Replayed") == "true"

    return client.persist(once)


def _in_parts(
    client: Client, what: Push, found: Mapping[str, Source], reference: Source | None, key: str | None
) -> tuple[Document, bool]:
    """One upload per file, then a version that names them."""
    if before := _registered(client, what, _digest(found)):
        return before, True
    all_sources = [*found.values(), *([reference] if reference else [])]
    ids, sent = [], 0
    with Progress(f"push {what.artifact.name}", sum(source.size for source in all_sources)) as progress:
        for source in all_sources:
            ids.append(upload(client, what.model, source, _beyond(progress, sent)))
            sent += source.size
    body: Document = {"metadata": dict(what.metadata), "reason": what.reason}
    named = dict(zip(found, ids, strict=False))
    body |= {"upload": named[""]} if "" in named else {
        "files": [{"path": path, "upload": one} for path, one in named.items()]
    }  # fmt: skip
    if reference:
        body["reference"] = ids[-1]
    key = key or what.key({str(index): one for index, one in enumerate(ids)})
    answer = client.post(model_path(what.model, "versions"), body, key=key)
    for source in all_sources:
        forget(client, what.model, source)
    return answer, False


def _beyond(progress: Progress, sent: int) -> Callable[[int], None]:
    """Tells the progress of one file as that of all, `sent` bytes being there already."""
    return lambda count: progress.at(sent + count)


def _registered(client: Client, what: Push, digest: str) -> Document | None:
    """A version of this content that says all that is said now, so that nothing is sent twice."""
    path = model_path(what.model, "versions")
    for version in client.items(path, 20, filter=f'digest = "{digest}"'):
        said = all(version.get(name) == value for name, value in what.metadata.items())
        if said and version["digest"] == digest and version["state"] != "refused":
            return client.get(model_path(what.model, "versions", version["number"]))
    return None
