"""The baseline profile of a version that was registered without one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from django.db import transaction

from registry import audit
from registry.domain.actor import Actor
from registry.errors import Conflict, Invalid
from registry.inspect.limits import Limits
from registry.inspect.sandbox import Inspection, inspect_file
from registry.models import Version
from registry.ports import ArtifactStore
from registry.services.content import content_of, local_copy, store_path
from registry.services.versions import locked_version, target


def attach_profile(
    *,
    version: Version,
    reference: Path,
    store: ArtifactStore,
    actor: Actor,
    reason: str = "",
    limits: Limits | None = None,
) -> Version:
    """Run a reference set (.npz, CSV or Parquet) through the version and keep it with the profile, once.

    What the inspection found is replaced by what it finds with the set. `Conflict` for a version that has a
    profile, since gates and drift were judged by it, or is not ready; `Invalid` when none can be computed.
    """
    _check(version)
    with local_copy(content_of(version), store) as place:
        found = inspect_file(
            place,
            reference=reference,
            feature_names=version.feature_names,
            filename=version.filename,
            limits=limits,
        )
    if found.profile is None:
        raise _without_profile(found)
    kept = store_path(reference, store)
    with transaction.atomic():
        version = locked_version(version)
        _check(version)
        values = {**asdict(found), "reference_digest": kept.digest}
        if not version.profiled(**values):
            raise Conflict(f"{version} got a baseline profile meanwhile.")
        audit.record(
            actor=actor,
            action="version.profile",
            target=target(version),
            before={"profile": None},
            after={
                "reference_digest": kept.digest,
                "rows": found.profile["rows"],
                "findings": [finding["code"] for finding in found.findings],
            },
            reason=reason,
        )
    return version


def _check(version: Version) -> None:
    if not version.is_ready:
        raise Conflict(f"{version} is {version.state}, not ready.", field="reference")
    if version.profile is not None:
        raise Conflict(
            f"{version} has a baseline profile, which never changes.",
            field="reference",
            hint="Gates and drift were judged by it. Register the file again with another reference set.",
        )


def _without_profile(found: Inspection) -> Invalid:
    if found.format != "onnx":
        told = f"A profile needs answers, and {found.format} is not run: only ONNX models are."
        return Invalid(told, field="reference")
    told = next((item["message"] for item in found.findings if item["severity"] == "warning"), "")
    return Invalid(f"No profile could be computed. {told}".strip(), field="reference")
