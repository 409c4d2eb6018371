"""The shell blocks of a page of the documentation, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.servers.waiting import ROOT


def blocks(page: str, after: str = "", kind: str = "sh") -> list[str]:
    """What stands in the page's blocks of a kind, from the heading `after` on."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{kind}\n(.*?)^```", text[text.index(after) :], re.M | re.S)


def run(script: str, environment: Mapping[str, str], folder: Path = ROOT) -> str:
    """What the script printed; the first command that fails ends it, and the test."""
    if shutil.which("curl") is None:
        why = "no curl on this machine: `apt install curl` runs this test"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder, env={**environment, "PATH": path}, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done.stdout
