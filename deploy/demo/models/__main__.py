"""`python -m deploy.demo.models FOLDER`: train the demo's models and say what each is."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .manifest import read_manifest


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.models", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the files and manifest.json go")
    parser.add_argument("--if-missing", action="store_true", help="keep models that are there already")
    arguments = parser.parse_args()
    if arguments.if_missing and trained(arguments.folder):
        print("models are trained already")
        return 0
    try:
        # Takes a second and needs the demo's extra packages, so only when there is something to train.
        from .build import table, train
    except ImportError as error:
        print(f"{error.name} is not installed: pip install scikit-learn skl2onnx", file=sys.stderr)
        return 1
    started = time.monotonic()
    manifest = train(arguments.folder)
    count = sum(len(model["versions"]) for model in manifest["models"])
    print(table(manifest))
    print(f"{count} models trained in {time.monotonic() - started:.1f} s")
    return 0


def trained(folder: Path) -> bool:
    """Whether the folder holds the models of this release."""
    try:
        read_manifest(folder)
    except (FileNotFoundError, ValueError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
