"""`python -m deploy.demo.models FOLDER`: train the demo's models and say what each is."""

from __future__ import annotations

import argparse
from pathlib import Path

from .build import table, train


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.models", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the files and manifest.json go")
    print(table(train(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
