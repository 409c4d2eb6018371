"""Findings of the inspection that may keep a version from being rolled out, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WARNING = "warning"
# Codes as `registry.inspect` gives them; WARNING stands for every finding of that severity.
GATING: Mapping[str, str] = {
    WARNING: "any warning",
    "no_baseline": "no reference set, so no baseline for drift",
    "reference_rows_failed": "rows of the reference set failed",
    "output_not_finite": "an output that is no finite number",
    "reference_by_position": "a reference set whose columns have other names than the features",
    "reference_without_names": "a reference set without names of columns",
    "output_constant": "an output that never changes",
    "trial_failed": "the trial with a row of zeros failed",
    "output_was_map": "an output that is a list of maps, which other model servers do not take",
    "misnamed": "the name promises another format than the content is",
    "executes_code": "loading it executes code",
    "pickle_dangerous": "a pickle that imports what reaches a shell",
    "tied_to_gpu": "it runs on one type of GPU only",
    "fixed_batch": "it takes a fixed number of rows",
    "no_variables": "a SavedModel without its variables",
}


def barring(findings: Sequence[Mapping[str, Any]], codes: Iterable[str]) -> list[str]:
    """The messages of those findings that one of the codes names."""
    wanted = set(codes)
    return [
        str(finding.get("message", ""))
        for finding in findings
        if finding.get("code") in wanted or (WARNING in wanted and finding.get("severity") == WARNING)
    ]
