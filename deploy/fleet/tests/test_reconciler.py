"""The fleet's steps without real servers: what it does when its surroundings fail."""

import json

import pytest

from deploy.files import write_json
from deploy.fleet import reconciler
from deploy.fleet.instance import State
from deploy.fleet.process import Exit, ProcessId
from deploy.fleet.reconciler import Fleet
from deploy.fleet.tests.cast import DIGEST, at


class Servers:
    """Servers that are only counted; `self.processes` is itself."""

    mark = "/none"

    def __init__(self):
        self.running = {}
        self.signals = []
        self.refuse = None
        self.processes = self

    def launch(self, workload, name, port):
        if self.refuse:
            raise self.refuse
        process = ProcessId(100 + len(self.running), 1.0)
        self.running[process] = None
        return process, 0

    def err(self, name):
        return reconciler.Path("/nonexistent") / name

    def rotate(self, name):
        pass

    def ended(self, process):
        return self.running[process]

    def signal(self, process, number):
        self.signals.append((process, number.name))
        self.running[process] = Exit(0)


class World:
    def __init__(self, home):
        self.home = home
        self.now = 0.0
        self.servers = Servers()
        self.fleet = Fleet(home, self.servers, clock=lambda: at(self.now))

    def want(self, replicas, endpoint="d"):
        item = {"version": "1", "digest": DIGEST, "artifact": "/m.onnx", "replicas": replicas}
        document = {"endpoint": endpoint, "model": "m", "workloads": [item]}
        write_json(self.home / "fleet" / "desired" / f"{endpoint}.json", document)

    def step(self, seconds=0.05):
        self.now += seconds
        self.fleet.step()

    def ready(self):
        for item in self.fleet.instances:
            self.fleet.answered(item, True, "")

    def states(self):
        return [item.state for item in self.fleet.instances]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_one_step_starts_what_is_wanted(world):
    world.want(2)
    world.step()
    assert world.states() == [State.STARTING, State.STARTING] and len(world.servers.running) == 2
    world.step()
    assert len(world.servers.running) == 2


def test_a_server_that_cannot_be_started_backs_off_with_the_reason(world):
    world.want(1)
    world.servers.refuse = OSError(12, "Cannot allocate memory")
    world.step()
    assert world.states() == [State.BACKOFF]
    assert "Cannot allocate memory" in world.fleet.instances[0].message
    for _ in range(10):
        world.step()
    assert world.fleet.instances[0].restarts == 2
    world.servers.refuse = None
    world.step(1.0)
    assert world.states() == [State.STARTING]


def test_draining_is_reported_before_the_server_is_told(world):
    world.want(1)
    world.step()
    world.ready()
    world.want(0)
    world.step()
    status = json.loads((world.home / "fleet" / "status.json").read_text())
    assert status["endpoints"]["d"][0]["state"] == "draining" and world.servers.signals == []
    world.step(0.29)
    assert world.servers.signals == []
    world.step(0.05)
    assert [name for _, name in world.servers.signals] == ["SIGTERM"]
    world.step()
    assert world.fleet.instances == []


def test_a_full_disk_keeps_nobody_from_being_looked_after(world, monkeypatch, caplog):
    world.want(1)

    def full(path, document):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reconciler, "write_json", full)
    for _ in range(5):
        world.step()
    assert world.states() == [State.STARTING]
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    world.fleet.stop_all()
    for _ in range(20):
        world.now += 0.1
        if world.fleet.step_down():
            break
    assert world.fleet.instances == [] and len(world.servers.signals) == 1


def test_servers_of_an_endpoint_whose_file_was_never_readable_are_kept(world):
    world.want(1)
    world.step()
    world.ready()
    world.fleet.step()
    again = World(world.home)
    (world.home / "fleet" / "desired" / "d.json").write_text("{")
    again.servers.running = world.servers.running
    again.fleet.begin()
    again.step()
    assert again.states() == [State.READY] and again.servers.signals == []
    assert "not JSON" in again.fleet.errors["d"]


def test_nothing_is_written_while_nothing_changes_but_a_sign_of_life(world, monkeypatch):
    world.want(1)
    world.step()
    world.ready()
    world.step()
    written = []
    monkeypatch.setattr(reconciler, "write_json", lambda path, document: written.append(path.name))
    for _ in range(40):
        world.step()
    assert written == ["status.json"] * 2
