"""PostgreSQL, Redis and Prometheus of Debian's packages, with their files under SLIPWAY_HOME."""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from controlplane.up.place import NotPossible
from controlplane.up.site import HOST
from controlplane.up.stack import (
    DATABASE,
    ROLE,
    Programs,
    StackSite,
    postgres,
    prometheus_file,
    redis_file,
)

START_SECONDS = 60.0
PACKAGES = {"postgres": "postgresql", "redis-server": "redis-server", "prometheus": "prometheus"}


def find_programs() -> Programs:
    """Where the packages put them. Raises NotPossible with the command that installs what is missing."""
    found = {name: _program(name) for name in PACKAGES}
    missing = [PACKAGES[name] for name, path in found.items() if path is None]
    if missing:
        install = f"sudo apt install --no-install-recommends {' '.join(missing)}"
        raise NotPossible(f"the stack needs {', '.join(missing)}: {install}")
    return Programs(
        str(found["postgres"]), str(found["redis-server"]), str(found["prometheus"]), _not_as_root()
    )


def _program(name: str) -> str | None:
    """PostgreSQL keeps its programs beside the PATH, a folder per release; the newest is taken."""
    installed = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    newest = max(installed, key=lambda path: float(path.split("/")[4]), default=None)
    return newest or shutil.which(name)


def _not_as_root() -> tuple[str, ...]:
    """PostgreSQL refuses root; its package brings a user for it."""
    if os.geteuid():
        return ()
    user = _postgres_user()
    identity = ("--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups")
    return (str(shutil.which("setpriv")), "--pdeathsig", "INT", *identity)


def _postgres_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise NotPossible("root cannot run PostgreSQL and there is no user postgres to do it") from None


def prepare_servers(site: StackSite, programs: Programs) -> None:
    """Secrets, configuration, and a database cluster unless there is one."""
    for folder in (site.secrets, site.home / "redis", site.home / "prometheus", site.home / "postgres"):
        folder.mkdir(mode=0o700, exist_ok=True)
    password = _secret(site.secrets / "postgres-password")
    queue = _secret(site.secrets / "redis-password")
    _write(site.secrets / "database-url", site.database_url(password))
    _write(site.secrets / "redis-url", site.redis_url(queue))
    (site.secrets / "metrics-token").touch(mode=0o600)
    _write(site.home / "redis" / "redis.conf", redis_file(site, queue))
    _write(site.home / "prometheus" / "prometheus.yml", prometheus_file(site))
    if not (site.home / "postgres" / "data" / "PG_VERSION").exists():
        _initialise(site, programs, password)


def _secret(path: Path) -> str:
    """The secret in the file, made up when there is none."""
    if not path.exists():
        _write(path, secrets.token_urlsafe(24))
    return path.read_text()


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def _initialise(site: StackSite, programs: Programs, password: str) -> None:
    folder = site.home / "postgres"
    pwfile = folder / "password"
    _write(pwfile, password)
    if not os.geteuid():
        user = _postgres_user()
        # Whoever PostgreSQL runs as must pass through to its own folder; the rest stays closed.
        site.home.chmod(0o711)
        for path in (folder, pwfile):
            os.chown(path, user.pw_uid, user.pw_gid)
    command = [
        *programs.as_user, str(Path(programs.postgres).with_name("initdb")), f"--pgdata={folder / 'data'}",
        f"--username={ROLE}", f"--pwfile={pwfile}", "--auth=scram-sha-256",
        "--encoding=UTF8", "--locale=C.UTF-8",
    ]  # fmt: skip
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    pwfile.unlink(missing_ok=True)
    if done.returncode:
        raise NotPossible(f"PostgreSQL's folder {folder} could not be made: {done.stderr.strip()[-500:]}")


@contextmanager
def running_postgres(site: StackSite, programs: Programs) -> Iterator[None]:
    """PostgreSQL for as long as the database is prepared; later the supervisor starts it."""
    service = postgres(site, programs)
    site.home.joinpath("logs").mkdir(exist_ok=True)
    with (site.home / "logs" / "postgres.log").open("ab") as log:
        process = subprocess.Popen(
            [service.program, *service.arguments], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _create_database(site, process)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START_SECONDS)


def _create_database(site: StackSite, process: subprocess.Popen[bytes]) -> None:
    password = (site.secrets / "postgres-password").read_text()
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = psycopg.connect(
                host=HOST,
                port=site.postgres_port,
                user=ROLE,
                password=password,
                dbname="postgres",
                autocommit=True,
            )
            break
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotPossible(
                    f"PostgreSQL does not start ({error}); {site.home}/logs/postgres.log says why"
                ) from error
            time.sleep(0.1)
    with connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
            connection.execute(f'CREATE DATABASE "{DATABASE}"')
