"""Reading the registry: every list is a page by key, at a number of queries that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from django.contrib.auth.models import User
from django.db.models import Prefetch, Q, QuerySet

from registry import lookups
from registry.domain.names import CHAMPION
from registry.domain.states import State
from registry.errors import NotFound
from registry.models import (
    Alias,
    ApiToken,
    AuditEntry,
    Intake,
    LatestMetric,
    Metric,
    Model,
    Version,
    VersionFile,
)
from registry.prepared import PreparedRows

T = TypeVar("T")
PAGE = 50
MAX_PAGE = 200
EVERYTHING = Q()
# Of a whole number in a prepared query; the largest that a column of numbers can hold.
_STAND_IN = 1_900_000_000
LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next` is the key to continue after, None on the last page."""

    items: Sequence[T]
    next: str | None


_VERSION = PreparedRows(
    Version,
    lambda model, number: Version.objects.filter(model=model, number=number, deleted_at=None).order_by(),
    model=_STAND_IN,
    number=_STAND_IN + 1,
)
_PARENT = PreparedRows(
    Version,
    lambda pk: Version.objects.filter(pk=pk).order_by(),
    without=("profile", "inspection"),
    pk=_STAND_IN,
)
_LATEST = PreparedRows(
    LatestMetric,
    lambda version: LatestMetric.objects.filter(version=version).order_by("name"),
    version=_STAND_IN,
)
_NAMES = PreparedRows(
    Alias, lambda version: Alias.objects.filter(version=version).order_by("name"), version=_STAND_IN
)


class PointRow(NamedTuple):
    """A measured point; `pk` tells apart those of one step."""

    step: int
    pk: int
    value: float
    at: datetime


def model_by_name(name: str) -> Model:
    """The live model of that name, or `NotFound`."""
    return _found(lookups.model(name), name)


def model_named(name: str) -> Model:
    """The same with its key, name and team; the rest is read when it is asked for."""
    return _found(lookups.model_named(name), name)


def version_by_number(model: Model, number: int) -> Version:
    """The live version with its model, parent, latest metrics and aliases, or `NotFound`; 3 queries, and one
    for a parent."""
    version = plain_version(model, number)
    if version.parent_id is not None:
        version.parent = _PARENT.find(pk=version.parent_id)[0]
    _hold(version, "latest_metrics", _LATEST.find(version=version.pk))
    _hold(version, "aliases", _NAMES.find(version=version.pk))
    return version


def plain_version(model: Model, number: int) -> Version:
    """The live version with its model, or `NotFound`; 1 query."""
    found = _VERSION.find(model=model.pk, number=number) if number <= LARGEST else []
    if not found:
        raise no_version(model, number)
    found[0].model = model
    return found[0]


def no_version(model: Model, number: int) -> NotFound:
    """That there is none of this number."""
    return NotFound(f"{model.name} has no version {number}.")


def _found(model: Model | None, name: str) -> Model:
    if model is None:
        raise NotFound(f"There is no model named {ascii(name[:128])}.")
    return model


def _hold(version: Version, name: str, rows: list[Any]) -> None:
    """Let `version.<name>.all()` answer with these rows, as a prefetch does."""
    manager = getattr(version, name)
    held = manager.get_queryset()
    held._result_cache, held._prefetch_done = rows, True
    version.__dict__.setdefault("_prefetched_objects_cache", {})[name] = held


def version_by_alias(model: Model, alias: str) -> Version | None:
    """The version an alias points at, with its latest metrics, or None."""
    return (
        _with_relations(Version.objects.all())
        .select_related("model", "parent")
        .filter(aliases__model=model, aliases__name=alias, deleted_at=None)
        .first()
    )


def aliases_of(model: Model, *, name: str = "") -> list[Alias]:
    """The model's aliases with their versions, or only the one of that name."""
    rows = Alias.objects.filter(model=model).select_related("version").order_by("name")
    return list(rows.filter(name=name) if name else rows)


def champion(model: Model) -> Version | None:
    """The version the model's other versions are compared with, if one was named."""
    return version_by_alias(model, CHAMPION)


def models_page(
    *, limit: int = PAGE, after: str = "", search: str = "", within: Q = EVERYTHING, where: Q = EVERYTHING
) -> Page[Model]:
    """Live models by name, each with its aliases; `search` looks in name, team and description.

    `within` is what the reader may see (`registry.identity.visible`), `where` is of `registry.filtering`.
    """
    rows = models_of(after=after, search=search, within=within, where=where)
    return paged(rows.prefetch_related(_aliases()), limit, lambda model: model.name)


def models_of(
    *, after: str = "", search: str = "", within: Q = EVERYTHING, where: Q = EVERYTHING
) -> QuerySet[Model]:
    """The rows of `models_page`."""
    rows = Model.objects.filter(within, where, deleted_at=None, name__gt=after).order_by("name")
    if search:
        rows = rows.filter(
            Q(name__icontains=search) | Q(owner_team__icontains=search) | Q(description__icontains=search)
        )
    return rows


def versions_page(
    model: Model, *, limit: int = PAGE, after: int | None = None, where: Q = EVERYTHING
) -> Page[Version]:
    """A model's live versions, newest first, with metrics and aliases; `after` is the last number seen.

    The two large documents (profile, inspection) are not read.
    """
    return paged(_summaries(versions_of(model, after, where)), limit, lambda version: str(version.number))


def versions_of(model: Model, after: int | None = None, where: Q = EVERYTHING) -> QuerySet[Version]:
    """The live versions of a model below the number `after`, newest first."""
    rows = Version.objects.filter(where, model=model, deleted_at=None).order_by("-number")
    return rows if after is None else rows.filter(number__lt=after)


def search_page(*, where: Q, within: Q, limit: int = PAGE, after: int | None = None) -> Page[Version]:
    """A page of `search`; `after` is the last id seen."""
    return paged(_summaries(search(where, within, after)), limit, lambda version: str(version.pk))


def search(where: Q, within: Q, after: int | None = None) -> QuerySet[Version]:
    """Live versions of all models within reach below the id `after`, newest first."""
    # Not a join with the live models: expecting many versions, PostgreSQL would read all of those first.
    gone = Model.objects.filter(deleted_at__isnull=False).order_by()
    rows = Version.objects.filter(within, where, ~Q(model__in=gone), deleted_at=None).order_by("-id")
    return rows if after is None else rows.filter(id__lt=after)


def _summaries(rows: QuerySet[Version]) -> QuerySet[Version]:
    """With what lists show, without the two large documents."""
    rows = _with_relations(rows).select_related("model", "parent").defer("profile", "inspection")
    return rows.defer("parent__profile", "parent__inspection")


def metric_history(
    version: Version, name: str, *, limit: int = 1000, after: tuple[int, int] | None = None
) -> list[PointRow]:
    """Points of one metric by step and time of arrival, `after` is the (step, id) of the last one seen."""
    rows = Metric.objects.filter(version=version, name=name).order_by("step", "id")
    if after is not None:
        step, key = after
        rows = rows.filter(Q(step__gte=step) & (Q(step__gt=step) | Q(id__gt=key)))
    return list(map(PointRow._make, rows.values_list("step", "id", "value", "at")[:limit]))


def files_of(version: Version, limit: int = 200) -> list[VersionFile]:
    """The first files of a folder by path; nothing, and no query, for a single file."""
    return list(version.files.order_by("path")[:limit]) if version.is_folder else []


def twins_of(version: Version) -> list[str]:
    """What the model's other versions share with this one, in words: content, label."""
    others = Version.objects.filter(model=version.model_id, deleted_at=None).exclude(pk=version.pk)
    shared = {
        "content": Q(digest=version.digest) & ~Q(digest=""),
        "label": Q(label=version.label) & ~Q(label=""),
    }
    found = {
        what: others.filter(same).order_by("-number").values_list("number", flat=True).first()
        for what, same in shared.items()
    }
    return [f"Version {number} has the same {what}." for what, number in found.items() if number]


def intake_of(version: Version) -> Intake | None:
    """The work still to do on a version; None, and no query, when it is settled."""
    if version.state in {State.READY, State.REFUSED}:
        return None
    return Intake.objects.filter(version=version).first()


def audit_page(
    *, limit: int = PAGE, after: int | None = None, target: str = "", actor: str = "", action: str = ""
) -> Page[AuditEntry]:
    """Audit entries, newest first; `target` matches what lies below it too, the others are exact."""
    rows = AuditEntry.objects.order_by("-sequence")
    if after is not None:
        rows = rows.filter(sequence__lt=after)
    if target:
        rows = rows.filter(Q(target=target) | Q(target__startswith=f"{target.rstrip('/')}/"))
    if actor:
        rows = rows.filter(actor_name=actor)
    if action:
        rows = rows.filter(action=action)
    return paged(rows, limit, lambda entry: str(entry.sequence))


def token_of_user(user: User, pk: int) -> ApiToken:
    """One of the user's own tokens, or `NotFound`."""
    token = ApiToken.objects.select_related("user", "model").filter(user=user, pk=pk).first()
    if token is None:
        raise NotFound("You have no such token.")
    return token


def _aliases() -> Prefetch[Any]:
    return Prefetch(
        "aliases", Alias.objects.select_related("version").only("name", "model_id", "version__number")
    )


def _with_relations(rows: QuerySet[Version]) -> QuerySet[Version]:
    return rows.prefetch_related("latest_metrics", "aliases")


def paged(rows: QuerySet[Any], limit: int, key: Callable[[Any], str]) -> Page[Any]:
    """The first `limit` rows (at most MAX_PAGE), and the key of the last one when more follow."""
    limit = max(1, min(limit, MAX_PAGE))
    items = list(rows[: limit + 1])
    more = len(items) > limit
    items = items[:limit]
    return Page(items, key(items[-1]) if more else None)
