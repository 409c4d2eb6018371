"""Findings that may keep a version from being rolled out."""

from pathlib import Path

import registry
from registry.domain.findings import GATING, WARNING, barring

FINDINGS = [
    {"code": "no_baseline", "severity": "info", "message": "none"},
    {"code": "output_constant", "severity": "warning", "message": "constant"},
]


def test_a_code_bars_its_finding_and_warning_bars_all_of_that_severity():
    assert barring(FINDINGS, ["no_baseline"]) == ["none"]
    assert barring(FINDINGS, [WARNING]) == ["constant"]
    assert barring(FINDINGS, [WARNING, "no_baseline"]) == ["none", "constant"]
    assert barring(FINDINGS, ["misnamed"]) == barring([], [WARNING]) == barring(FINDINGS, []) == []


def test_every_finding_that_can_be_barred_is_one_that_the_inspection_has():
    files = (Path(registry.__file__).parent / "inspect").glob("*.py")
    said = "".join(path.read_text() for path in files)
    assert [code for code in GATING if code != WARNING and f'"{code}"' not in said] == []
