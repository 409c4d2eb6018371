"""What each search may ask for, and the conditions of a filter as Q objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from typing import Any, NoReturn

from django.db.models import Q

from registry.errors import Invalid
from registry.mlflow.search.expressions import compared, in_document
from registry.mlflow.search.grammar import Condition, parse_filter

_TEXT_OPS = {"=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"}
_NUMBER_OPS = {"=", "!=", "<", "<=", ">", ">="}
_TAG_OPS = {"=", "!=", "LIKE", "ILIKE"}
_NULL_OPS = {"IS NULL", "IS NOT NULL"}
_MAX_PATTERN = 5_000
# The protocol hides prompts by this tag; Slipway keeps none, so a model without the tag is no prompt.
_PROMPT = "mlflow.prompt.is_prompt"

KINDS = {
    **dict.fromkeys(("", "attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
Special = Callable[[str, str, Any], Q]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one search.

    `texts` and `numbers` map attributes to columns or expressions; `lists` are the text attributes that take
    IN. `documents` maps `tag` and `param` to JSON columns, `special` other kinds to functions of key,
    operator and value.
    """

    texts: Mapping[str, Any]
    numbers: Mapping[str, Any]
    lists: frozenset[str]
    documents: Mapping[str, str] = field(default_factory=lambda: {"tag": "tags"})
    special: Mapping[str, Special] = field(default_factory=dict)
    nulls: bool = False
    quoted_numbers: bool = False

    def filter(self, text: str) -> Q:
        """The filter as one Q; `Invalid` names what is not to be had."""
        return reduce(and_, (self._condition(each) for each in parse_filter(text)), Q())

    @staticmethod
    def equal(text: str, key: str) -> str | None:
        """What the filter says the text attribute must be equal to, if it says so."""
        for condition in parse_filter(text):
            if KINDS.get(condition.kind) == "attribute" and (condition.key, condition.op) == (key, "="):
                return condition.value if isinstance(condition.value, str) else None
        return None

    @classmethod
    def only(cls, text: str, key: str) -> str | None:
        """What the text attribute must be equal to, if the filter says that and nothing else."""
        return cls.equal(text, key) if len(parse_filter(text)) == 1 else None

    def _condition(self, condition: Condition) -> Q:
        kind = KINDS.get(condition.kind)
        if kind == "attribute":
            return self._attribute(condition)
        if kind is not None and kind in self.documents:
            return self._document(condition, self.documents[kind])
        if kind is not None and kind in self.special:
            return self.special[kind](condition.key, condition.op, condition.value)
        known = ["attribute", *self.documents, *self.special]
        raise Invalid(
            f"Invalid entity type {ascii(condition.kind[:40])}. Valid entity types are {known}.",
            field="filter",
        )

    def _attribute(self, condition: Condition) -> Q:
        key, op, value = condition.key, condition.op, condition.value
        if key in self.numbers:
            if self.quoted_numbers and isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
                value = int(value[:18])
            if isinstance(value, str | tuple) or value is None:
                raise Invalid(f"Expected a number for {key!r}.", field="filter")
            if self.quoted_numbers and not isinstance(value, int):
                raise Invalid(f"Expected a whole number for {key!r}.", field="filter")
            return compared(self.numbers[key], _among(op, _NUMBER_OPS, key), value)
        if key not in self.texts:
            valid = sorted([*self.texts, *self.numbers])
            raise Invalid(
                f"Invalid attribute key {ascii(key[:80])} specified. Valid keys are {valid}.", field="filter"
            )
        _among(op, _TEXT_OPS, key)
        if op in {"IN", "NOT IN"} and key not in self.lists:
            _refuse_list(sorted(self.lists))
        return compared(self.texts[key], op, _text(value, op, key))

    def _document(self, condition: Condition, column: str) -> Q:
        key, op, value = condition.key, condition.op, condition.value
        _among(op, _TAG_OPS | _NULL_OPS if self.nulls else _TAG_OPS, key)
        if op in _NULL_OPS:
            return in_document(column, key, op, None)
        text = _text(value, op, key)
        if key == _PROMPT and (op, text) in {("!=", "true"), ("=", "false")}:
            return in_document(column, key, "IS NULL", None) | in_document(column, key, op, text)
        return in_document(column, key, op, text)


def number_condition(value: Any, op: str, key: str) -> tuple[str, float]:
    """The operator and number of a condition on a metric."""
    if not isinstance(value, int | float):
        raise Invalid(f"Expected numeric value type for metric {ascii(key[:80])}.", field="filter")
    return _among(op, _NUMBER_OPS, key), float(value)


def text_condition(value: Any, op: str, key: str) -> tuple[str, Any]:
    """The operator and text, or texts, of a condition."""
    return _among(op, _TEXT_OPS, key), _text(value, op, key)


def _among(op: str, allowed: set[str], key: str) -> str:
    if op in allowed:
        return op
    raise Invalid(
        f"Invalid comparator {op!r} for {ascii(key[:80])}, not one of {sorted(allowed)}.", field="filter"
    )


def _text(value: Any, op: str, key: str) -> Any:
    if op in {"IN", "NOT IN"}:
        return value
    if not isinstance(value, str):
        raise Invalid(
            f"Expected a quoted string value for {ascii(key[:80])} (e.g. 'my-value').", field="filter"
        )
    if op in {"LIKE", "ILIKE"} and len(value) > _MAX_PATTERN:
        raise Invalid(f"A pattern has at most {_MAX_PATTERN} characters.", field="filter")
    return value


def _refuse_list(keys: list[str]) -> NoReturn:
    raise Invalid(
        f"Only {keys} attributes support comparison with a list of quoted string values.", field="filter"
    )
