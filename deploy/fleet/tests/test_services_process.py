"""The service supervisor as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from deploy.files import write_json
from deploy.fleet.ports import free_port
from deploy.fleet.tests.harness import FAKE, ROOT, Home, alive, servers_of, until

LISTEN = "import socket,time; s=socket.create_server(('127.0.0.1',{port})); time.sleep(600)"
# A child that ignores SIGTERM and left its parent's session: what only a subreaper still finds.
BREED = (
    "import subprocess,sys,time; subprocess.Popen([sys.executable,'-c',"
    "'import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'],"
    "start_new_session=True); time.sleep(600)"
)


class Machine:
    """A supervisor with a few services, and all that it printed."""

    def __init__(self, home):
        self.home = home
        self.ports = {}
        self.services = []
        self.process = None

    def add(self, name, code, port=None):
        command = code if isinstance(code, list) else [sys.executable, "-c", code]
        self.services.append(
            {"name": name, "command": command, "cwd": str(ROOT), "port": port, "stop_seconds": 5}
        )

    def listener(self, name):
        self.ports[name] = free_port()
        self.add(name, LISTEN.format(port=self.ports[name]), self.ports[name])

    def start(self):
        places = {"logs": "logs", "run": "run.json", "lock": "lock"}
        document = {key: str(self.home / name) for key, name in places.items()}
        write_json(
            self.home / "services.json", document | {"banner": ["all there"], "services": self.services}
        )
        self.process = self.supervise()

    def supervise(self):
        with (self.home / "out").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy.fleet.services", "--file", self.home / "services.json"],
                cwd=ROOT, stdout=out, stderr=out,
            )  # fmt: skip

    @property
    def out(self):
        return (self.home / "out").read_text()

    def run(self):
        return json.loads((self.home / "run.json").read_text())

    def pid(self, name):
        return self.run()["services"][name]["pid"]

    def ready(self):
        return until(lambda: "all there" in self.out and self.process.pid)

    def descendants(self):
        return [item.pid for item in psutil.Process(self.process.pid).children(recursive=True)]


@pytest.fixture
def machine(tmp_path):
    found = Machine(tmp_path)
    yield found
    family = found.descendants() if found.process.poll() is None else []
    found.process.kill()
    found.process.wait()
    for pid in [*family, *servers_of(tmp_path)]:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_services_are_started_in_order_and_reported(machine):
    machine.listener("web")
    machine.add("tick", "import time; print('ticking', flush=True); time.sleep(600)")
    machine.start()
    machine.ready()
    assert machine.out.index("web") < machine.out.index("tick") < machine.out.index("all there")
    run = until(lambda: machine.run() if machine.run()["ready"] else None)
    assert run["pid"] == machine.process.pid and run["services"]["web"]["port"] == machine.ports["web"]
    assert alive(run["services"]["tick"]["pid"]) and run["services"]["tick"]["restarts"] == 0
    assert (machine.home / "logs" / "tick.log").read_text() == "ticking\n"
    assert (machine.home / "run.json").stat().st_mode & 0o777 == 0o600


def test_a_killed_service_is_back_within_two_seconds_and_one_line_says_so(machine):
    machine.listener("web")
    machine.listener("gateway")
    machine.start()
    machine.ready()
    other, killed = machine.pid("gateway"), machine.pid("web")
    started = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    until(lambda: "web is back on port" in machine.out)
    assert time.monotonic() - started < 2
    socket.create_connection(("127.0.0.1", machine.ports["web"])).close()
    assert "web died (killed by SIGKILL), starting it again at once" in machine.out
    run = machine.run()["services"]
    assert (run["web"]["restarts"], run["gateway"]["pid"]) == (1, other) and run["web"]["pid"] != killed


def test_a_service_that_dies_again_and_again_is_restarted_with_pauses(machine):
    machine.add("web", "import sys; sys.exit('bad configuration')")
    machine.start()
    until(lambda: machine.out.count("web died") >= 3)
    assert "exited with status 1: bad configuration), starting it again at once" in machine.out
    assert "starting it again in 0.5 s" in machine.out and "starting it again in 1.0 s" in machine.out


def test_a_command_that_cannot_be_run_is_one_line(machine):
    machine.add("web", ["/no/such/program"])
    machine.start()
    until(lambda: "web cannot be started" in machine.out)
    assert machine.process.poll() is None and "Traceback" not in machine.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_no_orphan(machine, number):
    machine.listener("web")
    machine.add("breeder", BREED)
    machine.start()
    machine.ready()
    family = until(lambda: machine.descendants() if len(machine.descendants()) == 3 else None)
    machine.process.send_signal(number)
    assert machine.process.wait(15) == 0
    assert [pid for pid in family if alive(pid)] == []


def test_orphans_of_a_killed_service_die_with_the_supervisor(machine):
    machine.add("breeder", BREED)
    machine.start()
    machine.ready()
    until(lambda: len(machine.descendants()) == 2)
    (orphan,) = set(machine.descendants()) - {machine.pid("breeder")}
    os.kill(machine.pid("breeder"), signal.SIGKILL)
    until(lambda: "breeder is back" in machine.out)
    assert psutil.Process(orphan).ppid() == machine.process.pid
    machine.process.send_signal(signal.SIGINT)
    assert machine.process.wait(15) == 0
    assert not alive(orphan)


def test_what_a_dead_service_leaves_in_its_group_does_not_keep_its_port(machine):
    port = free_port()
    code = f"import os,time; {LISTEN.format(port=port).split('time.sleep')[0].split(';', 1)[1]} os.fork(); time.sleep(600)"
    machine.add("web", "import socket;" + code, port)
    machine.start()
    machine.ready()
    until(lambda: len(machine.descendants()) == 2)
    os.kill(machine.pid("web"), signal.SIGKILL)
    until(lambda: "web is back" in machine.out)
    assert machine.out.count("web died") == 1


def test_services_that_ignore_sigterm_are_killed(machine):
    machine.add("deaf", "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)")
    machine.services[0]["stop_seconds"] = 0.5
    machine.start()
    machine.ready()
    deaf = machine.pid("deaf")
    machine.process.send_signal(signal.SIGINT)
    assert machine.process.wait(10) == 0 and not alive(deaf)


def test_services_end_when_the_supervisor_is_killed(machine):
    machine.listener("web")
    machine.add("tick", "import time; time.sleep(600)")
    machine.start()
    machine.ready()
    family = machine.descendants()
    machine.process.kill()
    until(lambda: not any(map(alive, family)), 5)


def test_model_servers_survive_their_fleet_and_end_with_the_supervisor(machine):
    home = Home(machine.home)
    home.want(("1", None, {"replicas": 2}))
    server = f"{FAKE[0]} {FAKE[1]}"
    command = [sys.executable, "-m", "deploy.fleet", "--home", str(machine.home), "--server", server]
    machine.add("fleet", command)
    machine.start()
    before = {entry["pid"] for entry in home.ready("1", "1")}
    os.kill(machine.pid("fleet"), signal.SIGKILL)
    until(lambda: "fleet is back" in machine.out)
    until(lambda: (machine.home / "logs" / "fleet.log").read_text().count("adopted") == 2)
    assert {entry["pid"] for entry in home.ready("1", "1")} == before
    machine.process.send_signal(signal.SIGINT)
    assert machine.process.wait(20) == 0
    assert servers_of(machine.home) == []


def test_model_servers_end_when_the_supervisor_is_killed(machine):
    home = Home(machine.home)
    home.want(("1",))
    machine.add(
        "fleet",
        [
            sys.executable,
            "-m",
            "deploy.fleet",
            "--home",
            str(machine.home),
            "--server",
            f"{FAKE[0]} {FAKE[1]}",
        ],
    )
    machine.start()
    home.ready("1")
    machine.process.kill()
    until(lambda: servers_of(machine.home) == [], 10)


def test_a_second_supervisor_is_refused(machine):
    machine.listener("web")
    machine.start()
    machine.ready()
    second = machine.supervise()
    assert second.wait(10) == 1
    assert "are already running" in machine.out and machine.process.poll() is None


def test_a_bad_file_is_one_clear_line(tmp_path):
    (tmp_path / "services.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "deploy.fleet.services", "--file", tmp_path / "services.json"],
        cwd=ROOT, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/services.json: services: must be a list of at least one service\n"
