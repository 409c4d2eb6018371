"""`python -m deploy.demo.director`: releases the demo's models side by side, each with `Release`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .access import read_access
from .api import Api, ApiError, Unreachable
from .models.manifest import FOLDER, read_manifest
from .release import Document, Release, Stopped, say


def direct(home: Path, folder: Path, stopped: threading.Event) -> bool:
    """Release every model of the manifest, side by side; True when all ended as expected."""
    access = read_access(home)
    models = read_manifest(folder)["models"]

    def api(role: str) -> Api:
        return Api(access.base_url, access.tokens[role])

    releases = [Release(folder, model, api("engineer"), api("admin"), stopped) for model in models]
    with ThreadPoolExecutor(len(releases)) as pool:
        ended = dict(zip([model["name"] for model in models], pool.map(Release.run, releases), strict=True))
    return all(list(_unexpected(model, ended[model["name"]])) == [] for model in models)


def _unexpected(model: Document, ended: dict[str, str]) -> Iterator[str]:
    for item in model["versions"]:
        name, expected = item["name"], item["expect"]["phase"]
        if expected and ended[name] != expected:
            say(f"{model['name']} {name}: expected {expected}, but the rollout ended {ended[name]}")
            yield name


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.director", description=__doc__)
    home = os.environ.get("SLIPWAY_HOME", ".slipway")
    parser.add_argument("--home", type=Path, default=Path(home), help="where demo.json is")
    parser.add_argument("--models", type=Path, help="folder of the trained models (default: in HOME)")
    return parser.parse_args(arguments)


def main() -> int:
    arguments = parse_arguments()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        expected = direct(arguments.home, arguments.models or arguments.home / FOLDER, stopped)
    except Stopped:
        return 0
    except (ApiError, Unreachable) as error:
        say(f"stopped: {error}")
        return 1
    say("all releases ended as expected" if expected else "not every release ended as expected")
    # The supervisor restarts what exits, so a director with nothing left to do stays.
    stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
