"""`python -m deploy.serving.fetch`: puts the artifact into the cache and ends, for the first step of a pod.

Ends with 0 when it is there and verified, 3 when it can never be served (docs/serving.md), 1 when the source
does not answer at present, so that the pod tries again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .errors import LoadError
from .folders import place_folder, put
from .loading import obtain, obtain_model
from .sources import SourceUnavailable

NEVER, LATER = 3, 1


def main(arguments: list[str] | None = None) -> int:
    """Fetch what the flags say; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.serving.fetch", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--artifact", required=True, help="a path, or an http(s):// or s3:// URL")
    parser.add_argument("--digest", required=True, help="sha256:<hex> it must have")
    parser.add_argument("--cache", type=Path, required=True, help="folder for artifacts, by digest")
    parser.add_argument("--place", type=Path, help="where another model server looks for it")
    parser.add_argument("--folder", action="store_true", help="the artifact is the list of a folder's files")
    parser.add_argument(
        "--main", default="", help="how the one model file at the folder's top is to be called"
    )
    parser.add_argument(
        "--copy", type=Path, nargs=2, action="append", default=[], metavar=("FROM", "TO"),
        help="a file to put beside it",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        if options.place:
            artifact = obtain(options.artifact, options.digest, options.cache)
            if options.folder:
                place_folder(artifact.content, options.artifact, options.cache, options.place, options.main)
            else:
                put(artifact.content, options.place)
        else:
            obtain_model(options.artifact, options.digest, options.cache)
        for source, target in options.copy:
            put(source.read_bytes(), target)
    except SourceUnavailable as error:
        print(f"not now: {error}", file=sys.stderr)
        return LATER
    except LoadError as error:
        print(error, file=sys.stderr)
        return NEVER
    return 0


if __name__ == "__main__":
    sys.exit(main())
