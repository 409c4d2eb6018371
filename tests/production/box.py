"""A built image, run as it would be: its own entry point and user, and a root file system that is read-only.

Without a container engine: buildah mounts the image, and a mount namespace of its own makes it read-only.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

# What a container engine gives: /proc, /dev, and folders that may be written to; {} is the image's root.
MOUNTS = """
mount --bind {root} {root}
mount -o remount,bind,ro {root}
mount --rbind /dev {root}/dev
mount -t proc proc {root}/proc
mount -t tmpfs tmpfs {root}/tmp
"""


def buildah(*arguments: str) -> str:
    """What it printed."""
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"buildah {shlex.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout.strip()


@dataclass
class Box:
    """One image: its configuration, and commands in it. `folders` are mounted over folders of the image."""

    image: str
    folders: Mapping[str, Path] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._container = buildah("from", "--pull-never", self.image)
        self.root = Path(buildah("mount", self._container))
        found = json.loads(buildah("inspect", "--type", "image", self.image))
        self.config: dict[str, Any] = found["Docker"]["config"]
        return self

    def __exit__(self, *_: object) -> None:
        buildah("rm", self._container)

    @property
    def megabytes(self) -> float:
        """The size of the image as `buildah images` tells it, in 10⁶ bytes."""
        (found,) = json.loads(buildah("images", "--json", self.image))
        text, unit = found["size"].split()
        return float(text) * {"KB": 1e-3, "MB": 1, "GB": 1e3}[unit]

    def command(self, arguments: tuple[str, ...], settings: Mapping[str, str]) -> list[str]:
        """The command line that runs the image's entry point."""
        environment = [*self.config["Env"], *(f"{name}={value}" for name, value in settings.items())]
        mounts = MOUNTS.format(root=self.root)
        for inside, outside in self.folders.items():
            mounts += f"mount --bind {outside} {self.root}{inside}\n"
        inner = ["env", "-i", *environment, *self.config["Entrypoint"], *arguments]
        user, folder = self.config["User"], self.config["WorkingDir"]
        chroot = [
            "chroot",
            f"--userspec={user}",
            str(self.root),
            "sh",
            "-c",
            f'cd {folder} && exec "$@"',
            "sh",
        ]
        script = f"set -e{mounts}exec {shlex.join([*chroot, *inner])}"
        return ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", script]

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return subprocess.run(
            self.command(arguments, settings), capture_output=True, text=True, timeout=180, cwd="/"
        )

    @contextmanager
    def running(self, *arguments: str, **settings: str) -> Iterator[Path]:
        """A process for as long as it is needed; its output is in the file."""
        handle, name = tempfile.mkstemp(prefix="slipway-box-")
        try:
            process = subprocess.Popen(
                self.command(arguments, settings), stdout=handle, stderr=handle, cwd="/"
            )
            try:
                yield Path(name)
            finally:
                process.terminate()
                process.wait(30)
        finally:
            os.close(handle)
            os.unlink(name)
