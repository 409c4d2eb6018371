"""The manifest: which models there are, which files they are in, what is expected of each.

Apart from the training code, so that reading it does not import scikit-learn.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCHEMA = 1
FILE = "manifest.json"
FOLDER = "demo-models"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a trained folder.

    Raises:
        FileNotFoundError: nothing was trained there, or the training did not finish.
        ValueError: it is not a manifest of this release.
    """
    manifest = json.loads((folder / FILE).read_bytes())
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise ValueError(f"{folder / FILE} was written by another release")
    return manifest
