"""Small helpers of the registry's templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def entry(mapping: Mapping[str, Any], key: str) -> Any:
    """`mapping[key]`, or None."""
    return mapping.get(key)


@register.filter
def short(value: float) -> str:
    """A number with five significant digits."""
    return f"{value:.5g}"


@register.filter
def pretty(value: Any) -> str:
    """A JSON value, indented."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
