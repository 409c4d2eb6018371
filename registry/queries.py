"""Reading the registry: every list is a page by key, at a number of queries that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.contrib.auth.models import User
from django.db.models import Prefetch, Q, QuerySet, prefetch_related_objects

from registry.domain.names import CHAMPION
from registry.domain.states import State
from registry.errors import NotFound
from registry.models import Alias, ApiToken, AuditEntry, Intake, Metric, Model, Version, VersionFile

T = TypeVar("T")
PAGE = 50
MAX_PAGE = 200
EVERYTHING = Q()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next` is the key to continue after, None on the last page."""

    items: Sequence[T]
    next: str | None


def model_by_name(name: str) -> Model:
    """The live model of that name, or `NotFound`."""
    # PostgreSQL would refuse a NUL with an error of its own.
    model = None if "\x00" in name else Model.objects.filter(name=name, deleted_at=None).first()
    if model is None:
        raise NotFound(f"There is no model named {ascii(name[:128])}.")
    return model


def version_by_number(model: Model, number: int) -> Version:
    """The live version with its model, parent, latest metrics and aliases, or `NotFound`; 3 queries."""
    version = (
        _with_relations(Version.objects.all())
        .select_related("model", "parent")
        .filter(model=model, number=number, deleted_at=None)
        .first()
    )
    if version is None:
        raise NotFound(f"{model.name} has no version {number}.")
    return version


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
    rows = Model.objects.filter(within, where, deleted_at=None, name__gt=after).order_by("name")
    if search:
        rows = rows.filter(
            Q(name__icontains=search) | Q(owner_team__icontains=search) | Q(description__icontains=search)
        )
    return paged(rows.prefetch_related(_aliases()), limit, lambda model: model.name)


def with_aliases(model: Model) -> Model:
    """The model with its aliases and their versions at hand; 1 query."""
    prefetch_related_objects([model], _aliases())
    return model


def versions_page(
    model: Model, *, limit: int = PAGE, after: int | None = None, where: Q = EVERYTHING
) -> Page[Version]:
    """A model's live versions, newest first, with metrics and aliases; `after` is the last number seen.

    The two large documents (profile, inspection) are not read.
    """
    rows = Version.objects.filter(where, model=model, deleted_at=None).order_by("-number")
    if after is not None:
        rows = rows.filter(number__lt=after)
    return paged(_summaries(rows), limit, lambda version: str(version.number))


def search_page(*, where: Q, within: Q, limit: int = PAGE, after: int | None = None) -> Page[Version]:
    """Live versions of all models within reach, newest first; `after` is the last id seen."""
    rows = Version.objects.filter(within, where, deleted_at=None, model__deleted_at=None).order_by("-id")
    if after is not None:
        rows = rows.filter(id__lt=after)
    return paged(_summaries(rows), limit, lambda version: str(version.pk))


def _summaries(rows: QuerySet[Version]) -> QuerySet[Version]:
    """With what lists show, without the two large documents."""
    rows = _with_relations(rows).select_related("model", "parent").defer("profile", "inspection")
    return rows.defer("parent__profile", "parent__inspection")


def metric_history(
    version: Version, name: str, *, limit: int = 1000, after: tuple[int, int] | None = None
) -> list[Metric]:
    """Points of one metric by step and time of arrival; `after` is the (step, id) of the last one seen."""
    rows = Metric.objects.filter(version=version, name=name).order_by("step", "id")
    if after is not None:
        step, key = after
        rows = rows.filter(Q(step__gt=step) | Q(step=step, id__gt=key))
    return list(rows[:limit])


def files_of(version: Version, limit: int = 200) -> list[VersionFile]:
    """The first files of a folder by path; nothing, and no query, for a single file."""
    return list(version.files.order_by("path")[:limit]) if version.is_folder else []


def intake_of(version: Version) -> Intake | None:
    """The work still to do on a version; None, and no query, when it is settled."""
    if version.state in {State.READY, State.REFUSED}:
        return None
    return Intake.objects.filter(version=version).first()


def children_of(version: Version) -> list[Version]:
    """Live versions trained from this one."""
    return list(
        version.children.filter(deleted_at=None).only("id", "number", "label").order_by("number")[:100]
    )


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
    return Prefetch("aliases", Alias.objects.select_related("version"))


def _with_relations(rows: QuerySet[Version]) -> QuerySet[Version]:
    return rows.prefetch_related("latest_metrics", "aliases")


def paged(rows: QuerySet[Any], limit: int, key: Callable[[Any], str]) -> Page[Any]:
    """The first `limit` rows (at most MAX_PAGE), and the key of the last one when more follow."""
    limit = max(1, min(limit, MAX_PAGE))
    items = list(rows[: limit + 1])
    more = len(items) > limit
    items = items[:limit]
    return Page(items, key(items[-1]) if more else None)
