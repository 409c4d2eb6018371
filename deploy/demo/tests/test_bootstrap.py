"""The installer's decisions; the installation itself is stubbed, it needs the network."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import bootstrap
from deploy.bootstrap import CannotInstall

VERSION = tuple(sys.version_info[:3])


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text("aiohttp==3.14.5 \\\n    --hash=sha256:00\nnumpy==2.4.6 ; python_full_version < '3.12'\n")
    return path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, instead of doing it."""
    done: list[str] = []

    def make(folder: str) -> None:
        Path(folder, "bin").mkdir(parents=True)
        Path(folder, "bin", "python").symlink_to(sys.executable)
        done.append("environment")

    monkeypatch.setattr(bootstrap, "make_environment", make)
    monkeypatch.setattr(bootstrap, "install", lambda folder, lock: done.append("packages"))
    monkeypatch.setattr(bootstrap, "works", lambda folder, version: Path(folder).exists())
    return done


def test_a_fresh_checkout_gets_an_environment_and_the_packages(tmp_path, lock, made) -> None:
    bootstrap.ensure(str(tmp_path / ".venv"), str(lock))
    assert made == ["environment", "packages"]


def test_a_second_start_does_nothing(tmp_path, lock, made) -> None:
    for _ in range(2):
        bootstrap.ensure(str(tmp_path / ".venv"), str(lock))
    assert made == ["environment", "packages"]


def test_a_new_lock_installs_into_the_same_environment(tmp_path, lock, made) -> None:
    bootstrap.ensure(str(tmp_path / ".venv"), str(lock))
    lock.write_text("aiohttp==3.14.6 --hash=sha256:00\n")
    bootstrap.ensure(str(tmp_path / ".venv"), str(lock))
    assert made == ["environment", "packages", "packages"]


def test_the_command_line_is_put_beside_python_and_runs_from_anywhere(tmp_path, lock, made) -> None:
    folder = tmp_path / "a folder" / ".venv"
    folder.parent.mkdir()
    bootstrap.ensure(str(folder), str(lock))
    python = folder / "bin" / "python"
    python.unlink()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    command = [str(folder / "bin" / "slipway"), "--version"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stdout[:8]) == (0, "slipway "), done.stderr
    (folder / "bin" / "slipway").unlink()
    bootstrap.ensure(str(folder), str(lock))
    assert (folder / "bin" / "slipway").exists(), "an environment made before there was one gets it"


def test_an_interrupted_installation_is_done_again(tmp_path, lock, made, monkeypatch) -> None:
    def interrupted(folder: str, lock: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bootstrap, "install", interrupted)
        bootstrap.ensure(str(tmp_path / ".venv"), str(lock))
    bootstrap.ensure(str(tmp_path / ".venv"), str(lock))
    assert made == ["environment", "packages"]


def test_an_environment_of_another_python_is_not_current(tmp_path, lock, made) -> None:
    folder = str(tmp_path / ".venv")
    bootstrap.ensure(folder, str(lock))
    assert bootstrap.is_current(folder, str(lock), VERSION)
    assert not bootstrap.is_current(folder, str(lock), (3, 99, 0))


def test_a_python_that_is_too_old_is_told_by_its_version() -> None:
    text = str(bootstrap.too_old((3, 9, 2)))
    assert "Python 3.9.2" in text and "3.11 or newer" in text and "\n" not in text


def test_a_missing_ensurepip_names_the_debian_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(CannotInstall, match=r"ensurepip is missing: sudo apt install python3\.12-venv"):
        bootstrap.require_venv((3, 12, 1))


def test_a_folder_that_cannot_be_written_to_is_one_clear_line() -> None:
    with pytest.raises(CannotInstall, match="/proc cannot be written to .*put the checkout"):
        bootstrap.require_writable("/proc")


def test_an_environment_that_does_not_start_does_not_work(tmp_path) -> None:
    assert not bootstrap.works(str(tmp_path), VERSION)


def test_what_pip_calls_an_error_is_the_reason() -> None:
    output = "WARNING: a\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES\nmore\n"
    assert bootstrap.reason(output) == "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"
    assert bootstrap.reason("one\nlast\n\n") == "last"
    assert bootstrap.reason("") == "no reason given"


def test_a_newer_python_that_does_not_start_is_passed_over(tmp_path, monkeypatch) -> None:
    for name, status in (("python3.14", 127), ("python3.12", 0)):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\nexit {status}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.newer_python() == str(tmp_path / "python3.12")


def test_the_command_without_a_lock_file_says_how_it_is_used() -> None:
    done = subprocess.run([sys.executable, bootstrap.__file__], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "usage: python3 deploy/bootstrap.py LOCK_FILE\n")


def test_a_lock_file_with_a_wrong_hash_is_refused(tmp_path) -> None:
    """The real installer, in a real environment, without the network."""
    lock = tmp_path / "requirements.lock"
    (tmp_path / "nothing.py").write_text("")
    lock.write_text(f"nothing @ file://{tmp_path}/nothing-1.0.tar.gz --hash=sha256:{'0' * 64}\n")
    (tmp_path / "nothing-1.0.tar.gz").write_bytes(b"not the file that was locked")
    bootstrap.make_environment(str(tmp_path / ".venv"))
    with pytest.raises(CannotInstall, match="HASHES"):
        bootstrap.install(str(tmp_path / ".venv"), str(lock))
