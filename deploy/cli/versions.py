"""Versions as lines: one whole, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.cli.client import Document
from deploy.cli.text import line, pairs, size, stamp

_PLAIN = (
    "label", "parent", "digest", "filename", "format", "framework", "git_sha", "training_run",
    "dataset_ref", "dataset_digest", "feature_schema_version", "aliases", "tags",
)  # fmt: skip
HEAD = ("VERSION", "LABEL", "CREATED", "BY", "SIZE", "ALIASES", "METRICS")
_NESTED = ("metrics", "hyperparameters")


def version_lines(document: Document) -> list[str]:
    """Everything a reader wants to know of one version."""
    said: dict[str, Any] = {"version": f"{document['model']} v{document['number']}"}
    if document.get("state", "ready") != "ready":
        said |= {"state": document["state"], "problem": document.get("problem")}
    said |= {name: document[name] for name in _PLAIN if document.get(name)}
    said |= {"size": size(document["size"])}
    said |= {"created": f"{stamp(document['created_at'])} by {document['created_by']}"}
    lines = pairs(said)
    for name in _NESTED:
        if document.get(name):
            lines += ["", f"{name}:", *(f"  {text}" for text in pairs(document[name]))]
    if document.get("findings"):
        lines += ["", "findings:", *(f"  {line(item.get('message', item))}" for item in document["findings"])]
    if document.get("notes"):
        lines += ["", "notes:", *(f"  {line(text)}" for text in document["notes"].splitlines())]
    return lines


def row(document: Document) -> tuple[Any, ...]:
    """A version as a row of a table; one that is not ready says so."""
    state = document.get("state", "ready")
    return (
        f"v{document['number']}" + ("" if state == "ready" else f" ({state})"),
        document["label"],
        stamp(document["created_at"]),
        document["created_by"],
        size(document["size"]),
        document["aliases"],
        document["metrics"],
    )


def lineage_lines(found: Document) -> list[str]:
    """Parents, children and siblings of a version."""
    plain = {name: found[name] for name in ("git_sha", "training_run", "dataset")}
    kin = {name: [_name(item) for item in found[name]] for name in ("ancestors", "children", "same_dataset")}
    return pairs({"version": _name(found), **plain, **kin})


def _name(item: Document) -> str:
    return f"{item['model']} v{item['number']}" + (" (deleted)" if item["deleted"] else "")


def comparison(documents: Sequence[Document], *, everything: bool) -> list[tuple[str, list[Any]]]:
    """(name, value of each version) for what differs, or for everything that any of them has."""
    rows = []
    for name in _NESTED:
        keys = sorted({key for document in documents for key in document.get(name) or {}})
        rows += [
            (f"{name}.{key}", [(document.get(name) or {}).get(key) for document in documents]) for key in keys
        ]
    rows += [
        (name, [document.get(name) for document in documents]) for name in (*_PLAIN, "size", "created_by")
    ]
    lines = _lines_that_differ([document.get("dependencies") or [] for document in documents])
    rows += [("dependencies", lines)] if lines else []
    return [(name, values) for name, values in rows if _worth(values, everything)]


def _worth(values: Sequence[Any], everything: bool) -> bool:
    """Whether a row says something: any of them has it, and they differ unless everything is wanted."""
    return any(line(value) != "-" for value in values) and (
        everything or any(value != values[0] for value in values)
    )


def _lines_that_differ(lists: Sequence[Sequence[str]]) -> list[Any]:
    """Of each list what is not in all of them; empty when they are equal."""
    common = set(lists[0]).intersection(*lists[1:])
    found = [[item for item in items if item not in common] for items in lists]
    return found if any(found) else []
