"""Plans that people write out: YAML or JSON text to plain JSON values, with slips located."""

from __future__ import annotations

import json
from typing import Any

import yaml

from rollouts.errors import Invalid

HINT = "Write a mapping with `steps` and `gates`, as the example does."


class _Plain(yaml.SafeLoader):
    """Values only: an alias could make a short text stand for an endless plan."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


def read_document(text: str) -> dict[str, Any]:
    """The text as a mapping of JSON values; Invalid says where it cannot be read."""
    try:
        value = yaml.load(text, Loader=_Plain)  # noqa: S506 - derived from SafeLoader
        plain = json.loads(json.dumps(value, allow_nan=False))
    except yaml.YAMLError as error:
        raise Invalid(_located(error), hint="Write YAML or JSON.") from error
    except RecursionError as error:
        raise Invalid("It is nested too deeply.", hint=HINT) from error
    except (TypeError, ValueError) as error:
        raise Invalid(f"A value is neither text, number, list nor mapping: {error}.", hint=HINT) from error
    if not isinstance(plain, dict):
        raise Invalid("It is not a mapping.", hint=HINT)
    if not isinstance(plain.get("gates", []), list):
        raise Invalid("`gates` is not a list.", hint=HINT)
    return plain


def _located(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f"Line {mark.line + 1}, column {mark.column + 1}: {problem}." if mark else f"{problem}."
