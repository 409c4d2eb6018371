#!/usr/bin/env python3
"""Make .venv from a lock file: `python3 deploy/bootstrap.py requirements.lock`.

Runs on whatever python3 a machine has: the standard library only, and syntax that a Python too old for
Slipway still reads, so that it can say so. Returns at once when everything is in place.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys

NEEDED = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class CannotInstall(Exception):
    """One line that says what is wrong and how to mend it."""


def text_of(version: "tuple[int, ...]") -> str:
    return ".".join(str(part) for part in version)


def newer_python() -> "str | None":
    """Another Python on the PATH that is new enough and starts."""
    for name in NEWER:
        path = shutil.which(name)
        if path and subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return path
    return None


def too_old(version: "tuple[int, ...]") -> CannotInstall:
    return CannotInstall(
        f"python3 is Python {text_of(version)} ({sys.executable}): Slipway needs {text_of(NEEDED)} or newer. "
        "Install one (Debian, Ubuntu: sudo apt install python3.11 python3.11-venv) and say: "
        "make demo PYTHON=python3.11"
    )


def require_venv(version: "tuple[int, ...]") -> None:
    """Raise CannotInstall when this Python cannot make a virtual environment: Debian packs that apart."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        package = f"python{text_of(version[:2])}-venv"
        raise CannotInstall(f"Python's module {error.name} is missing: sudo apt install {package}") from None


def require_writable(folder: str) -> None:
    """Raise CannotInstall when nothing can be written to `folder`."""
    probe = os.path.join(folder, f".write-probe-{os.getpid()}")
    try:
        with open(probe, "w"):
            pass
        os.remove(probe)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise CannotInstall(
            f"{folder} cannot be written to ({why}): put the checkout into a folder of your own"
        ) from None


def fingerprint(lock: str, version: "tuple[int, ...]") -> str:
    """What an environment was made from: the Python and the lock."""
    with open(lock, "rb") as file:
        return f"{text_of(version)} {hashlib.sha256(file.read()).hexdigest()}"


def stamp_of(folder: str, lock: str) -> str:
    """The file that is there when every package of the lock was installed."""
    return os.path.join(folder, ".installed-" + os.path.basename(lock))


def python_of(folder: str) -> str:
    return os.path.join(folder, "bin", "python")


def command_of(folder: str) -> str:
    return os.path.join(folder, "bin", "slipway")


def is_current(folder: str, lock: str, version: "tuple[int, ...]") -> bool:
    """Whether `folder` is complete, made by this Python from this lock."""
    try:
        with open(stamp_of(folder, lock)) as file:
            return file.read() == fingerprint(lock, version) and os.path.exists(python_of(folder))
    except FileNotFoundError:
        return False


def works(folder: str, version: "tuple[int, ...]") -> bool:
    """Whether the environment in `folder` starts, has pip and is of this Python's version."""
    ask = "import sys, pip; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        found = subprocess.run([python_of(folder), "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return found.stdout.strip() == text_of(version)


def make_environment(folder: str) -> None:
    """A fresh virtual environment in the place of whatever is there."""
    command = [sys.executable, "-m", "venv", "--clear", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotInstall(f"the virtual environment could not be made: {reason(done.stdout + done.stderr)}")


def install(folder: str, lock: str) -> None:
    """Install exactly what the lock names, checking every hash."""
    with open(lock) as file:
        count = len(re.findall(r"^\w[^=\s]*==", file.read(), re.MULTILINE))
    print(f"installing {count} packages into {folder}, once; this takes a minute or two", flush=True)
    pip = [python_of(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*pip, "--require-hashes", "-r", lock], stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise CannotInstall(f"the packages could not be installed: {reason(done.stderr)}")


def write_command(folder: str) -> None:
    """`bin/slipway`, which runs the CLI of this checkout wherever it is called from.

    The shell starts Python, since a kernel does not read a `#!` line with a long path or a space.
    """
    path = command_of(folder)
    text = f"""#!/bin/sh
'''exec' {shlex.quote(python_of(folder))} "$0" "$@"
' '''
import sys

sys.path[0] = {ROOT!r}
from deploy.cli.app import run

run()
"""
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)


def reason(output: str) -> str:
    """The line that says why: pip's first ERROR, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors[:1] or lines[-1:] or ["no reason given"])[0]


def ensure(folder: str, lock: str) -> None:
    """Do what is missing. Raises CannotInstall."""
    version = tuple(sys.version_info[:3])
    if is_current(folder, lock, version):
        if not os.path.exists(command_of(folder)):
            write_command(folder)
        return
    require_writable(os.path.dirname(folder))
    if not works(folder, version):
        require_venv(version)
        make_environment(folder)
    stamp = stamp_of(folder, lock)
    if os.path.exists(stamp):
        os.remove(stamp)
    install(folder, lock)
    write_command(folder)
    with open(stamp, "w") as file:
        file.write(fingerprint(lock, version))


def main(arguments: "list[str]") -> int:
    if len(arguments) != 1:
        print("usage: python3 deploy/bootstrap.py LOCK_FILE", file=sys.stderr)
        return 2
    version = tuple(sys.version_info[:3])
    try:
        if version[:2] < NEEDED:
            newer = newer_python()
            if newer is None:
                raise too_old(version)
            os.execv(newer, [newer, os.path.abspath(__file__), *arguments])
        ensure(os.path.join(ROOT, ".venv"), os.path.abspath(arguments[0]))
    except CannotInstall as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
