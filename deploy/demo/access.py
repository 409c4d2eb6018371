"""`demo.json`: where the demo answers and who may sign in. Written by `manage.py demo`, mode 600."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "demo.json"


@dataclass(frozen=True, slots=True)
class Access:
    """`base_url` of the web server, `gateway_url`, and the API token of each role."""

    base_url: str
    gateway_url: str
    tokens: dict[str, str]


def read_access(home: Path) -> Access:
    """Raises FileNotFoundError before the demo has written the file, ValueError if it is not complete."""
    document: Any = json.loads((home / FILE).read_bytes())
    try:
        return Access(
            base_url=document["base_url"],
            gateway_url=document["gateway_url"],
            tokens={role: user["token"] for role, user in document["users"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{home / FILE} lacks {error}") from error
