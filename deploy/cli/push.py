"""Registering a version: the file is digested here, sent as a stream, and the answer's digest compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.cli.client import Client, Document
from deploy.cli.errors import CliError, Problem
from deploy.cli.files import digest_of
from deploy.cli.multipart import Form
from deploy.cli.progress import Progress
from deploy.cli.refs import model_path


@dataclass(frozen=True)
class Push:
    """What to register; `metadata` as the API takes it."""

    model: str
    artifact: Path
    metadata: Mapping[str, Any]
    reference: Path | None = None
    reason: str = ""

    def files(self) -> dict[str, Path]:
        """The form's file fields."""
        found = {"artifact": self.artifact}
        return found if self.reference is None else found | {"reference": self.reference}

    def key(self, digests: Mapping[str, str]) -> str:
        """The same for the same content, so that a job that runs twice registers once (kept for a day)."""
        said = [self.model, self.artifact.name, dict(digests), dict(self.metadata), self.reason]
        return f"push-{hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()}"


def push(client: Client, what: Push, *, key: str | None = None) -> tuple[Document, bool]:
    """The registered version, and whether it had been registered before under the same key."""
    digests = {name: digest_of(path) for name, path in what.files().items()}
    answer, replayed = _send(client, what, key or what.key(digests))
    if answer["digest"] != digests["artifact"]:
        raise CliError(
            f"v{answer['number']} was registered with the digest {answer['digest']}, but "
            f"{what.artifact} has {digests['artifact']}.",
            hint="The file changed while it was sent, or was damaged on the way: do not release it.",
        )
    return answer, replayed


def ensure_model(client: Client, name: str, team: str) -> bool:
    """Make the model unless it is there; whether it was made."""
    if client.find(model_path(name)) is not None:
        return False
    try:
        client.post("models", {"name": name, "owner_team": team}, key=f"model-{name}-{team}")
    except Problem as problem:
        # Another job made it in the meantime.
        if problem.status != 409:
            raise
        return False
    return True


def _send(client: Client, what: Push, key: str) -> tuple[Document, bool]:
    """Repeated as a whole when the connection breaks: the key makes that safe."""
    fields = {"metadata": json.dumps(what.metadata)} | ({"reason": what.reason} if what.reason else {})
    url = f"{client.access.url}/api/v1/{model_path(what.model, 'versions')}"

    def once() -> tuple[Document, bool]:
        form = Form(fields, what.files())
        headers = {"Content-Type": form.content_type, "Idempotency-Key": key}
        with Progress(f"push {what.artifact.name}", len(form)) as progress:
            form.sent = progress.at
            response = client.once("POST", url, data=form, headers=headers)
        return response.json(), response.headers.get("Idempotent-Replayed") == "true"

    return client.persist(once)
