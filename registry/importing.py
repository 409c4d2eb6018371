"""Moving a registry here from an MLflow server; what is here already is passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

from registry.domain import foreign
from registry.domain.actor import Actor
from registry.errors import Conflict, DomainError
from registry.models import Experiment, Model, Run, Version
from registry.ports import ArtifactStore
from registry.services import files, tracking
from registry.services.aliases import set_alias
from registry.services.models import create_model
from registry.services.recording import Recorded, adopt_version, stage_name
from registry.services.sources import run_location
from registry.services.tracking import Reading

EXPERIMENT = "Imported"
_BATCH = 1000
_PROMPT = "mlflow.prompt.is_prompt"


class Origin(Protocol):
    """What is imported from; see `registry.adapters.mlflow_client`."""

    def models(self) -> Iterable[dict[str, Any]]: ...
    def model(self, name: str) -> dict[str, Any]: ...
    def versions(self, name: str) -> Iterable[dict[str, Any]]: ...
    def run(self, uid: str) -> dict[str, Any] | None: ...
    def history(self, uid: str, key: str) -> Iterable[dict[str, Any]]: ...
    def location(self, name: str, version: str) -> str: ...
    def files(self, location: str) -> Iterable[tuple[str, Any]]: ...


@dataclass
class Report:
    """How many of each were imported or were here already, and what could not be: (what, why)."""

    imported: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report as text."""
        kinds = sorted({*self.imported, *self.present})
        told = [
            f"{kind}: {self.imported[kind]} imported, {self.present[kind]} here already" for kind in kinds
        ]
        return [*told, *(f"failed: {what}: {why}" for what, why in self.failed)]


def import_registry(
    origin: Origin,
    *,
    store: ArtifactStore,
    actor: Actor,
    report: Report | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Models, versions with their numbers, tags, aliases, stages, runs with metrics, and files.

    A model or version that fails is told in the report and does not stop the others. Files that the server
    does not hand out itself (s3://…) stay where they are, and their versions are recorded only. What an
    import that ended half-way left is completed. `report` grows as it goes; `tell` gets a line per model.
    """
    report = report or Report()
    for row in origin.models():
        tags = _pairs(row.get("tags"))
        if tags.get(_PROMPT) == "true":
            report.failed.append((row["name"], "it is a prompt, and Slipway keeps none"))
            continue
        try:
            _import_model(origin, row, tags, report, store, actor)
        except (DomainError, LookupError) as error:
            report.failed.append((row["name"], str(error)))
        tell(f"{row['name']}: {report.imported['versions']} versions imported so far")
    return report


def _import_model(
    origin: Origin,
    row: dict[str, Any],
    tags: dict[str, str],
    report: Report,
    store: ArtifactStore,
    actor: Actor,
) -> None:
    model = Model.objects.filter(name=row["name"], deleted_at=None).first()
    _count(report, "models", new=model is None)
    if model is None:
        description = row.get("description", "")
        model = create_model(name=row["name"], description=description, tags=tags, actor=actor, wide=True)
    here = dict(Version.objects.filter(model=model).values_list("number", "source"))
    for version in origin.versions(row["name"]):
        number = int(version["version"])
        try:
            if number not in here:
                _import_version(origin, model, version, report, store, actor)
            elif here[number] != _source(version):
                raise Conflict("another version has this number here")
        except (DomainError, LookupError) as error:
            report.failed.append((f"{model.name} version {number}", str(error)))
            continue
        _count(report, "versions", new=number not in here)
    for alias in origin.model(row["name"]).get("aliases", []):
        _import_alias(model, alias, report, actor)


def _import_version(
    origin: Origin, model: Model, row: dict[str, Any], report: Report, store: ArtifactStore, actor: Actor
) -> None:
    location = origin.location(model.name, row["version"])
    run = _import_run(origin, row.get("run_id", ""), report, actor)
    said = Recorded(
        source=_source(row),
        resolved_source=location if location != row.get("source") else "",
        run=row.get("run_id", ""),
        run_link=row.get("run_link", "")[:500],
        description=row.get("description", ""),
        tags=foreign.tags_of(_pairs(row.get("tags")).items(), maximum=foreign.VERSION_TAG_MAX),
        stage=stage_name(row.get("current_stage", "None")),
        number=int(row["version"]),
        created_at=_time(row["creation_timestamp"]),
        updated_at=_time(row["last_updated_timestamp"]),
        why=f"Its files stayed at {location[:300]}.",
    )
    if location.startswith("mlflow-artifacts:"):
        root = (
            f"imported/{model.pk}/{row['version']}"
            if run is None
            else _below(run, f"imported/{row['version']}")
        )
        for path, stream in origin.files(location):
            files.put_file(path=f"{root}/{path}", stream=stream, store=store)
            report.imported["files"] += 1
        file, why = files.find_onnx(root)
        said = replace(said, resolved_source=f"mlflow-artifacts:/{root}", file=file, why=why)
    adopt_version(model=model, said=said, actor=actor, reason="imported from MLflow")


def _import_run(origin: Origin, uid: str, report: Report, actor: Actor) -> Run | None:
    if not uid:
        return None
    run = Run.objects.select_related("experiment").filter(uid=uid).first()
    # An import sets the status last: one of its own that still runs may have ended half-way.
    whole = run is not None and (run.experiment.name != EXPERIMENT or run.status != "RUNNING")
    told = None if whole else origin.run(uid)
    if told is None:
        return run
    run = run or _new_run(uid, told, actor)
    info, data = told["info"], told.get("data", {})
    tracking.log_params(run=run, params=list(_pairs(data.get("params")).items()))
    for metric in data.get("metrics", []):
        readings = (_reading(metric["key"], point) for point in origin.history(uid, metric["key"]))
        while batch := list(islice(readings, _BATCH)):
            tracking.log_points(uid=uid, readings=batch)
            report.imported["points"] += len(batch)
    ended = info.get("end_time")
    tracking.update_run(
        run=run, actor=actor, status=info.get("status"), ended_ms=int(ended) if ended else None
    )
    report.imported["runs"] += 1
    return run


def _new_run(uid: str, told: dict[str, Any], actor: Actor) -> Run:
    """The run without what was logged on it."""
    experiment = Experiment.objects.filter(name=EXPERIMENT).first()
    info = told["info"]
    return tracking.create_run(
        experiment=experiment or tracking.create_experiment(name=EXPERIMENT, actor=actor),
        actor=actor,
        uid=uid,
        name=info.get("run_name", ""),
        user=info.get("user_id", ""),
        started_ms=int(info.get("start_time", 0)),
        tags=_pairs(told.get("data", {}).get("tags")),
    )


def _import_alias(model: Model, alias: dict[str, str], report: Report, actor: Actor) -> None:
    version = Version.objects.filter(model=model, number=int(alias["version"]), deleted_at=None).first()
    if version is None:
        report.failed.append((f"{model.name} alias {alias['alias']}", "its version was not imported"))
        return
    present = model.aliases.filter(name=alias["alias"], version=version).exists()
    _count(report, "aliases", new=not present)
    set_alias(model=model, name=alias["alias"], version=version, actor=actor, wide=True)


def _source(row: dict[str, Any]) -> str:
    return str(row.get("source", ""))[:500]


def _below(run: Run, path: str) -> str:
    return f"{run_location(run).partition(':/')[2]}/{path}"


def _reading(key: str, point: dict[str, Any]) -> Reading:
    value = float(point["value"])
    nan = value != value
    return Reading(key, 0.0 if nan else value, nan, int(point["timestamp"]), int(point.get("step", 0)))


def _pairs(items: Any) -> dict[str, str]:
    return {item["key"]: item.get("value", "") for item in items or []}


def _time(millis: Any) -> datetime:
    return datetime.fromtimestamp(int(millis) / 1000, UTC)


def _count(report: Report, kind: str, *, new: bool) -> None:
    (report.imported if new else report.present)[kind] += 1
