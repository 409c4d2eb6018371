"""The filter language of MLflow's searches: comparisons joined by AND."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from lark import Lark, Token, Transformer, UnexpectedInput

from registry.errors import Invalid

MAX_LENGTH = 20_000
MAX_CONDITIONS = 100
_LARGEST = 2**63 - 1

# Keywords are recognised by their place only, so that a tag may be named `in`.
_GRAMMAR = r"""
start: condition (_AND condition)*
?condition: KEY OPERATOR value                                   -> comparison
          | KEY _NOT _IN "(" STRING ("," STRING)* [","] ")"      -> outside
          | KEY _IN "(" STRING ("," STRING)* [","] ")"           -> inside
          | KEY _IS _NULL                                        -> absent
          | KEY _IS _NOT _NULL                                   -> present
?value: STRING | NUMBER
KEY: /(?:[A-Za-z_]\w*\.)?(?:`[^`]+`|"[^"]+"|[\w.\/-]+)/
OPERATOR: /!=|>=|<=|=|>|<|I?LIKE\b/i
STRING: /'(?:[^']|'')*'|"(?:[^"]|"")*"/
NUMBER: /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/
_AND: /AND\b/i
_NOT: /NOT\b/i
_IN: /IN\b/i
_IS: /IS\b/i
_NULL: /NULL\b/i
%ignore /\s+/
"""
_ORDER = re.compile(
    r"\s*(?P<key>(?:[A-Za-z_]\w*\.)?(?:`[^`]+`|\"[^\"]+\"|[\w./-]+))(?:\s+(?P<way>asc|desc))?\s*",
    re.IGNORECASE,
)
Value = str | int | float | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Condition:
    """`kind.key op value`; `kind` is "" when none was written. `op` is upper-case, as in `NOT IN`."""

    kind: str
    key: str
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class Order:
    """One clause of order_by."""

    kind: str
    key: str
    descending: bool


def parse_filter(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter, none for an empty one; `Invalid` says where it stops making sense."""
    if len(text) > MAX_LENGTH:
        raise Invalid(f"The filter has more than {MAX_LENGTH} characters.", field="filter")
    return _parsed(text)


def parse_order(clauses: list[str]) -> list[Order]:
    """Clauses such as `name`, `metrics.rmse DESC`; `Invalid` for others and for a key that is there twice."""
    orders = []
    for clause in clauses:
        found = _ORDER.fullmatch(clause)
        if found is None:
            raise Invalid(f"Invalid order_by clause {ascii(clause[:80])}.", field="order_by")
        kind, key = _split(found["key"])
        orders.append(Order(kind, key, (found["way"] or "asc").lower() == "desc"))
    if len({(order.kind, order.key) for order in orders}) < len(orders):
        raise Invalid("A key is there twice.", field="order_by")
    if len(orders) > 20:
        raise Invalid("At most 20 clauses are taken.", field="order_by")
    return orders


@lru_cache(maxsize=1024)
def _parsed(text: str) -> tuple[Condition, ...]:
    if not text.strip():
        return ()
    try:
        conditions = cast(tuple[Condition, ...], _PARSER.parse(text))
    except UnexpectedInput as error:
        where = text[max(0, error.pos_in_stream or 0) :][:40] if error.pos_in_stream is not None else ""
        raise Invalid(
            f"Invalid clause(s) in filter string: it cannot be read from {ascii(where)} on.",
            field="filter",
            hint="Write comparisons joined by AND, such as: name LIKE 'a%' AND tags.`team` = 'x'.",
        ) from None
    if len(conditions) > MAX_CONDITIONS:
        raise Invalid(f"The filter has more than {MAX_CONDITIONS} conditions.", field="filter")
    return conditions


class _Reader(Transformer[Token, Any]):
    """Tree -> conditions."""

    def start(self, items: list[Condition]) -> tuple[Condition, ...]:
        return tuple(items)

    def comparison(self, items: list[Any]) -> Condition:
        key, op, value = items
        return Condition(*_split(key), str(op).upper(), value)

    def inside(self, items: list[Any]) -> Condition:
        return Condition(*_split(items[0]), "IN", tuple(item for item in items[1:] if item is not None))

    def outside(self, items: list[Any]) -> Condition:
        return Condition(*_split(items[0]), "NOT IN", tuple(item for item in items[1:] if item is not None))

    def absent(self, items: list[Any]) -> Condition:
        return Condition(*_split(items[0]), "IS NULL", None)

    def present(self, items: list[Any]) -> Condition:
        return Condition(*_split(items[0]), "IS NOT NULL", None)

    def STRING(self, token: Token) -> str:
        quote = token[0]
        return token[1:-1].replace(quote * 2, quote)

    def NUMBER(self, token: Token) -> int | float:
        if re.fullmatch(r"[+-]?\d+", token):
            return max(-_LARGEST, min(_LARGEST, int(token[:40])))
        return float(token)


def _split(key: str) -> tuple[str, str]:
    """`tags.`a b`` -> ("tags", "a b"); a key alone has no kind."""
    kind, dot, rest = ("", "", key) if key[0] in '`"' else key.partition(".")
    # A key that ends in a dot is a name of its own.
    if not dot or not rest:
        kind, rest = "", key
    return kind, rest[1:-1] if rest[0] in '`"' else rest


_PARSER = Lark(_GRAMMAR, parser="lalr", transformer=_Reader())
