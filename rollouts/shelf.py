"""What is kept under a name, for plans and for gates alike: saved as versions, found again, put away."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.models import Model
from rollouts.domain.fields import NAME
from rollouts.errors import Conflict, Invalid, NotFound
from rollouts.models import Endpoint, Environment
from rollouts.models.templates import Template, TemplateVersion

REFERENCE = re.compile(r"(?P<name>[^@]+)(@(?P<number>[0-9]{1,6}))?")
T = TypeVar("T", bound=Template)
V = TypeVar("V", bound=TemplateVersion)


@dataclass(frozen=True, slots=True)
class Words:
    """How messages speak of what is kept: "plan template", or "gates" (plural).

    field: where a reference to one is given. name_hint and reason_hint: how to mend those. place_hint: what
    to do when the name is taken elsewhere.
    """

    noun: str
    plural: bool
    field: str
    name_hint: str
    reason_hint: str
    place_hint: str | None = None

    def verb(self, singular: str, plural: str) -> str:
        """The form that agrees with the noun."""
        return plural if self.plural else singular

    @property
    def there(self) -> str:
        """“There is” or “There are”."""
        return f"There {self.verb('is', 'are')}"

    @property
    def one(self) -> str:
        """With the indefinite article, if it takes one."""
        return self.noun if self.plural else f"a {self.noun}"


@dataclass(frozen=True, slots=True)
class Shelf(Generic[T, V]):
    """All templates of a kind. action and folder: how the audit trail calls what happens to which of them."""

    template: type[T]
    version: type[V]
    words: Words
    action: str
    folder: str

    def save(
        self,
        *,
        name: str,
        model: Model | None,
        environment: Environment | None,
        actor: Actor,
        reason: str,
        read: Callable[[], Mapping[str, Any]],
    ) -> V:
        """Keeps what `read` returns (fields of a version) as version 1, or as the next one when it is new.

        The same content again is the version that exists. `read` raises for what cannot be kept; it is called
        when name and reason are in order. Conflict when the name belongs to another model or environment.
        """
        self._check(name, reason)
        content = read()
        with transaction.atomic():
            rows = self.template._default_manager
            row, _ = rows.get_or_create(name=name, defaults={"model": model, "environment": environment})
            # The lock makes two that save at once follow each other, so that numbers have no gap.
            row = rows.select_for_update().get(pk=row.pk)
            self._check_place(row, model, environment)
            newest = self._versions(row).first()
            if newest and row.archived_at is None and self._content(newest, content) == content:
                return newest
            version = self.version._default_manager.create(
                template=row,
                number=newest.number + 1 if newest else 1,
                reason=reason.strip(),
                created_by=str(actor)[:150],
                **content,
            )
            rows.filter(pk=row.pk).update(archived_at=None)
            audit.record(
                actor=actor,
                action=f"{self.action}.save",
                target=f"{self.folder}/{name}",
                before={"number": newest.number, **self._content(newest, content)} if newest else None,
                after={"number": version.number, **content},
                reason=reason,
            )
        return version

    def archive(self, *, name: str, actor: Actor, reason: str) -> T:
        """Puts a template away: nothing takes it any more; its versions stay readable."""
        if not reason.strip():
            raise Invalid("a reason is required.", field="reason")
        with transaction.atomic():
            row = self.template._default_manager.select_for_update().filter(name=name).first()
            if row is None:
                raise self.unknown(name)
            if row.archived_at is not None:
                be = self.words.verb("is", "are")
                raise Conflict(f"The {self.words.noun} {name!r} {be} archived already.")
            row.archived_at = timezone.now()
            row.save(update_fields=["archived_at"])
            target = f"{self.folder}/{name}"
            audit.record(actor=actor, action=f"{self.action}.archive", target=target, reason=reason)
        return row

    def templates(self, *, archived: bool = False) -> QuerySet[T]:
        """Every template by name, with its versions, newest first."""
        newest_first = Prefetch("versions", queryset=self.version._default_manager.order_by("-number"))
        rows = self.template._default_manager.select_related("model", "environment")
        rows = rows.prefetch_related(newest_first)
        return rows if archived else rows.filter(archived_at=None)

    def by_name(self, name: str) -> T:
        """NotFound when there is none of that name."""
        row = self.templates(archived=True).filter(name=name).first()
        if row is None:
            raise self.unknown(name)
        return row

    def fitting(self, endpoint: Endpoint | None) -> QuerySet[T]:
        """Those that fit the endpoint: its model or any, its environment or any. All, without an endpoint."""
        if endpoint is None:
            return self.templates()
        return self.templates().filter(
            Q(model=None) | Q(model=endpoint.model_id),
            Q(environment=None) | Q(environment=endpoint.environment_id),
        )

    def chosen(self, reference: str, endpoint: Endpoint | None = None) -> V:
        """The version that `name` (the newest) or `name@number` stands for, if it fits the endpoint."""
        words, rows = self.words, self.fitting(endpoint)
        parts = REFERENCE.fullmatch(reference)
        row = rows.filter(name=parts["name"]).first() if parts else None
        if parts is None or row is None:
            names = ", ".join(rows.values_list("name", flat=True)[:20]) or "none yet"
            where = f" {words.verb('fits', 'fit')} {endpoint.name}" if endpoint else ""
            message = f"No {words.noun} {reference[:80]!r}{where}."
            raise Invalid(message, field=words.field, hint=f"Fitting: {names}.")
        found = list(self._versions(row))
        wanted = int(parts["number"]) if parts["number"] else found[0].number
        for version in found:
            if version.number == wanted:
                return version
        raise Invalid(
            f"The {words.noun} {row.name!r} {words.verb('has', 'have')} no version {wanted}.",
            field=words.field,
            hint=f"The newest is {found[0].number}.",
        )

    def unknown(self, name: str) -> NotFound:
        """The error for a name that no template has."""
        words = self.words
        return NotFound(f"{words.there} no {words.noun} {name!r}.", field=words.field)

    def _check(self, name: str, reason: str) -> None:
        words = self.words
        if not NAME.fullmatch(name):
            raise Invalid(f"{name!r} cannot name {words.one}.", field="name", hint=words.name_hint)
        if not reason.strip():
            raise Invalid("a reason is required.", field="reason", hint=words.reason_hint)

    def _check_place(self, row: T, model: Model | None, environment: Environment | None) -> None:
        asked = (model.pk if model else None, environment.pk if environment else None)
        if (row.model_id, row.environment_id) != asked:
            words = self.words
            message = f"{words.there} {words.one} {row.name!r} for another model or environment."
            raise Conflict(message, field="name", hint=words.place_hint)

    def _versions(self, row: T) -> QuerySet[V]:
        """Newest first, as the class orders them; from the prefetch where the row has one."""
        found: QuerySet[V] = getattr(row, "versions").all()  # noqa: B009 - the concrete class has it
        return found

    @staticmethod
    def _content(version: V, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: getattr(version, name) for name in fields}
