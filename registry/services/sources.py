"""Where a version's `source` leads: names in it resolved, and whether Slipway itself keeps those files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from django.db.models import Q

from registry.domain import foreign
from registry.errors import Invalid, NotFound
from registry.models import Experiment, LoggedModel, Run, TrackedFile, Version
from registry.services.files import find_onnx
from registry.services.tracking.logged import tag_logged_model

ARTIFACTS = "mlflow-artifacts"
_ROUTE = ["api", "2.0", ARTIFACTS, "artifacts"]
# Schemes that would make a client ask a host of somebody's choice.
_HOSTED = {"http", "https", "ftp", "sftp", "hdfs", "viewfs", "r2", "b2", "abfss"}
_VERSIONS_TAG = "mlflow.modelVersions"


@dataclass(frozen=True, slots=True)
class Lineage:
    """A source with what it stands for: `resolved` is where clients download from ("": from `source`)."""

    source: str
    resolved: str = ""
    run: str = ""
    logged_model: str = ""

    @property
    def location(self) -> str:
        """The URI of the files."""
        return self.resolved or self.source


def run_location(run: Run) -> str:
    """The URI below which the run's artifacts lie; the run's experiment is at hand."""
    return f"{experiment_location(run.experiment)}/{run.uid}/artifacts"


def logged_model_location(model: LoggedModel) -> str:
    """The URI below which the logged model's files lie; its experiment is at hand."""
    return f"{experiment_location(model.experiment)}/models/{model.uid}/artifacts"


def experiment_location(experiment: Experiment) -> str:
    """The URI below which the artifacts of the experiment's runs lie."""
    return experiment.artifact_location.rstrip("/") or f"{ARTIFACTS}:/{experiment.pk}"


def resolve(source: str, *, run: str | None, logged_model: str | None, among: Callable[[], Q] = Q) -> Lineage:
    """Check a source by MLflow's rules and resolve `models:/…` in it, `among` some versions; None: not said.

    `Invalid` for a source that leads out of where it says it is, `NotFound` for a version that is not there.
    """
    foreign.plain(source, field="source", maximum=500)
    said_run = foreign.plain(run or "", field="run_id", maximum=500)
    said_model = foreign.plain(logged_model or "", field="model_id", maximum=64)
    scheme = urlsplit(source).scheme.lower() if ":" in source else ""
    if scheme == "models":
        return _from_models(source, run, logged_model, among())
    if scheme in {"", "file"}:
        _check_local(source, said_run, said_model)
    else:
        _check_path(source)
    if scheme == "runs":
        _check_runs(source, said_run)
    elif _is_proxied(source, scheme):
        _check_proxied(source, said_run, said_model)
    elif scheme in _HOSTED:
        _refuse(source, "Slipway lets clients download from its own artifact store and from object stores.")
    return Lineage(source, run=said_run, logged_model=said_model)


def artifact_of(lineage: Lineage) -> tuple[TrackedFile | None, str]:
    """The ONNX file behind a source, or the sentence that says why there is none to deploy."""
    folder = folder_of(lineage.location)
    if folder is None:
        shown = lineage.location[:200]
        return None, f"Its source {shown} lies outside Slipway's artifact store."
    return find_onnx(folder)


def folder_of(location: str) -> str | None:
    """The path below the artifact root that a URI names; None when the files lie elsewhere."""
    if location.startswith("runs:/"):
        uid, _, path = location.removeprefix("runs:/").partition("/")
        run = Run.objects.select_related("experiment").filter(uid=uid).first()
        if run is None:
            return None
        location = _of_run(run, path)
    parts = urlsplit(location)
    if parts.scheme != ARTIFACTS or parts.netloc:
        return None
    return foreign.artifact_path(parts.path.lstrip("/"), field="source")


def note_version(lineage: Lineage, *, name: str, number: int) -> None:
    """Write on the logged model which version was made of it, as MLflow's server does."""
    model = LoggedModel.objects.filter(uid=lineage.logged_model, deleted=False).first()
    if model is None:
        return
    try:
        versions = json.loads(model.tags.get(_VERSIONS_TAG, "[]"))
    except ValueError:
        versions = []
    versions = versions if isinstance(versions, list) else []
    versions.append({"name": name, "version": number})
    tag_logged_model(model=model, tags={_VERSIONS_TAG: json.dumps(versions[-100:])})


def _from_models(source: str, run: str | None, logged_model: str | None, among: Q) -> Lineage:
    parts = urlsplit(source)
    path = parts.path.strip("/")
    if parts.netloc or not path:
        _refuse(source, "Write models:/<name>/<version>, models:/<name>@<alias> or models:/<model id>.")
    if path.startswith("m-") and "/" not in path and "@" not in path:
        return _from_logged(source, path, run, logged_model)
    version = _version_named(source, path, among)
    for said, known, field in (
        (run, version.training_run, "run_id"), (logged_model, version.logged_model, "model_id"),
    ):  # fmt: skip
        if said is not None and said != known:
            _refuse(source, f"Its {field} is {known!r}.")
    return Lineage(
        f"models:/{version.model.name}/{version.number}",
        version.resolved_source or version.source,
        version.training_run,
        version.logged_model,
    )


def _from_logged(source: str, uid: str, run: str | None, logged_model: str | None) -> Lineage:
    model = LoggedModel.objects.select_related("experiment").filter(uid=uid, deleted=False).first()
    if model is None or logged_model != uid:
        _refuse(source, f"Send model_id {uid!r}, the one of a logged model that exists.")
    return Lineage(source, logged_model_location(model), run or model.source_run, uid)


def _version_named(source: str, path: str, among: Q) -> Version:
    rows = Version.objects.select_related("model").filter(among, deleted_at=None, model__deleted_at=None)
    name, _, alias = path.partition("@")
    if alias:
        found = rows.filter(model__name=name, aliases__name=alias, aliases__model__name=name).first()
    else:
        name, _, number = path.rpartition("/")
        if not (number.isascii() and number.isdecimal() and 0 < len(number) <= 9):
            _refuse(source, "Write models:/<name>/<version> or models:/<name>@<alias>.")
        found = rows.filter(model__name=name, number=int(number)).first()
    if found is None:
        raise NotFound(f"Model Version of the source {source[:200]} not found.")
    return found


def _check_local(source: str, run: str, logged_model: str) -> None:
    """A path on a disk is taken only inside the artifacts of the run or logged model that is named."""
    what = "model_id" if logged_model else "run_id"
    root, said = urlsplit(_root_of(run, logged_model) or "nowhere:"), urlsplit(source)
    if root.scheme in {"", "file"} and not said.netloc and _inside(unquote(said.path), root.path):
        return
    _refuse(
        source,
        f"To use a local path as a model version source, the {what} request parameter has to be specified "
        "and the local path has to be contained within the artifact directory of the run specified by it.",
    )


def _check_proxied(source: str, run: str, logged_model: str) -> None:
    root = _root_of(run, logged_model)
    what = "model_id" if logged_model else "run_id"
    if root is None or not _inside(_route_path(source), urlsplit(root).path):
        _refuse(source, f"Send the {what} of what was logged there.")


def _check_runs(source: str, run: str) -> None:
    uid = urlsplit(source).path.strip("/").partition("/")[0]
    if urlsplit(source).netloc or not uid:
        _refuse(source, "Write runs:/<run id>/<path>.")
    # The run need not be known here, but a known one must be the one that the version names.
    if run != uid and Run.objects.filter(uid=uid).exists():
        _refuse(source, f"Send run_id {uid!r}.")


def _check_path(source: str) -> None:
    path = source
    while (plain := unquote(path)) != path:
        path = plain
    rest = urlsplit(path.replace("\\", "/")).path
    if "\x00" in path or ".." in path.replace("\\", "/").split("/") or not rest.startswith("/"):
        if urlsplit(source).netloc and not rest:
            return
        _refuse(
            source,
            "If supplying a source as an http, https, local file path, ftp, objectstore, or "
            "mlflow-artifacts URI, an absolute path must be provided without relative path references "
            "present. Please provide an absolute path.",
        )


def _root_of(run: str, logged_model: str) -> str | None:
    if logged_model:
        model = LoggedModel.objects.select_related("experiment").filter(uid=logged_model).first()
        return None if model is None else logged_model_location(model)
    found = Run.objects.select_related("experiment").filter(uid=run).first() if run else None
    return None if found is None else run_location(found)


def _of_run(run: Run, path: str) -> str:
    """`runs:/…/path` means the run's artifacts, or the logged model of that name that the run wrote."""
    root = f"{run_location(run)}/{path}".rstrip("/")
    folder = folder_of(root)
    if path and folder is not None and not TrackedFile.objects.filter(parent=folder).exists():
        uids = [item["model_id"] for item in run.model_outputs]
        model = LoggedModel.objects.filter(uid__in=uids, name=path, deleted=False).last()
        if model is not None:
            return logged_model_location(model)
    return root


def _is_proxied(source: str, scheme: str) -> bool:
    parts = [part for part in urlsplit(source).path.split("/") if part]
    hosted = any(parts[i : i + 4] == _ROUTE for i in range(len(parts)))
    return scheme == ARTIFACTS or (scheme in {"http", "https"} and hosted)


def _route_path(source: str) -> str:
    return urlsplit(source).path.rpartition("/".join(_ROUTE))[2]


def _inside(path: str, root: str) -> bool:
    parts, above = ([part for part in text.split("/") if part not in {"", "."}] for text in (path, root))
    return ".." not in parts and bool(above) and parts[: len(above)] == above


def _refuse(source: str, why: str) -> NoReturn:
    raise Invalid(f"Invalid model version source: '{source[:300]}'. {why}", field="source")
