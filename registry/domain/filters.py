"""The filter language of the REST API and the search page: text in, a tree of comparisons out.

    metrics.auc > 0.9 and (tags.team = "growth" or not alias exists)

Grammar below; what each field may be compared with is in `registry.filtering`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from registry.errors import Invalid

Scalar = str | float | int | bool
MAXIMUM_LENGTH = 2000
MAXIMUM_DEPTH = 30

GRAMMAR = r"""
    ?start: either
    ?either: both (_OR both)*
    ?both: one (_AND one)*
    ?one: _NOT one -> negation
        | "(" either ")"
        | field _EXISTS -> exists
        | field _IN "(" value ("," value)* ")" -> among
        | field OP value -> comparison
    field: NAME ["." (KEY | NAME | STRING)]
    value: STRING | NUMBER | TRUE | FALSE

    _OR.2: /or\b/i
    _AND.2: /and\b/i
    _NOT.2: /not\b/i
    _IN.2: /in\b/i
    _EXISTS.2: /exists\b/i
    TRUE.2: /true\b/i
    FALSE.2: /false\b/i
    OP: "!=" | "<=" | ">=" | "!~" | "=" | "<" | ">" | "~"
    STRING: /"(\\.|[^"\\])*"/ | /'(\\.|[^'\\])*'/
    NUMBER.1: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(?![\w\/-])/
    NAME: /[A-Za-z_][A-Za-z0-9_]*/
    KEY: /[A-Za-z0-9_][A-Za-z0-9_\/-]*/
    %ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field` or `field.key` compared with a value; `op` is one of = != < <= > >= ~ !~ in exists."""

    field: str
    key: str | None
    op: str
    value: Scalar | tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    part: Tree


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    """At least one part holds."""

    parts: tuple[Tree, ...]


Tree = Comparison | Not | All | Any_


def parse(text: str, *, field: str = "filter") -> Tree:
    """The tree of a filter; `Invalid` says where the text cannot be read and what could stand there."""
    if len(text) > MAXIMUM_LENGTH:
        raise Invalid(f"It has {len(text)} characters; at most {MAXIMUM_LENGTH} are read.", field=field)
    if _depth(text) > MAXIMUM_DEPTH:
        raise Invalid(f"It is nested more than {MAXIMUM_DEPTH} deep.", field=field)
    try:
        tree: Tree = _Build().transform(_parser().parse(text))
    except UnexpectedInput as error:
        ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        at = len(text) if ended or error.pos_in_stream is None else error.pos_in_stream
        where = f"at {ascii(text[at : at + 20])}" if at < len(text) else "at its end"
        raise Invalid(
            f"It cannot be read {where} (character {at + 1}).",
            field=field,
            hint='For example: metrics.auc > 0.9 and tags.team = "growth".',
        ) from None
    except VisitError as error:
        raise Invalid(str(error.orig_exc), field=field) from None
    return tree


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=True)


def _depth(text: str) -> int:
    """How deep parentheses and negations could nest: brackets in texts count, which errs on the safe side."""
    depth = deepest = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        deepest = max(deepest, depth)
    return deepest + text.lower().count("not ") // 4


class _Build(Transformer[Token, Any]):
    """Lark's tree as ours, from the leaves up."""

    def either(self, parts: list[Tree]) -> Tree:
        return Any_(tuple(parts))

    def both(self, parts: list[Tree]) -> Tree:
        return All(tuple(parts))

    def negation(self, parts: list[Tree]) -> Tree:
        return Not(parts[0])

    def field(self, parts: list[Token | None]) -> tuple[str, str | None]:
        name, key = parts
        return str(name), None if key is None else str(_unquoted(key) if key.type == "STRING" else key)

    def value(self, parts: list[Token]) -> Scalar:
        token = parts[0]
        if token.type == "STRING":
            return _unquoted(token)
        if token.type in {"TRUE", "FALSE"}:
            return token.type == "TRUE"
        number = float(token)
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"The number {token[:40]} is too large.")
        return int(token) if token.lstrip("+-").isdecimal() and len(token) < 19 else number

    def exists(self, parts: list[Any]) -> Tree:
        name, key = parts[0]
        return Comparison(name, key, "exists", None)

    def among(self, parts: list[Any]) -> Tree:
        name, key = parts[0]
        return Comparison(name, key, "in", tuple(parts[1:]))

    def comparison(self, parts: list[Any]) -> Tree:
        name, key = parts[0]
        return Comparison(name, key, str(parts[1]), parts[2])


def _unquoted(token: Token) -> str:
    """The text between the quotes; a backslash gives the character after it."""
    inner, out, escaped = token[1:-1], [], False
    for character in inner:
        if character == "\\" and not escaped:
            escaped = True
            continue
        out.append(character)
        escaped = False
    text = "".join(out)
    if "\x00" in text:
        raise ValueError("A text holds the NUL character.")
    return text
