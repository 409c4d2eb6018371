"""The fleet as a process of its own, with real servers that have no model."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from deploy.fleet.tests.harness import ROOT, alive, fleet, get, servers_of, until


@pytest.fixture
def home(tmp_path):
    with fleet(tmp_path) as found:
        yield found


def test_wanted_servers_are_started_reported_and_answer(home):
    home.want(("1", None, {"replicas": 2, "threads": 3, "options": {"max_batch": 8}}))
    entries = home.ready("1", "1")
    assert {entry["instance"] for entry in entries} == {"d-1-0", "d-1-1"}
    for entry in entries:
        answer = get(f"http://{entry['host']}:{entry['port']}/predict")
        assert (answer["version"], answer["pid"]) == ("1", entry["pid"])
    targets = json.loads((home.path / "fleet" / "targets.json").read_text())
    ports = {f"127.0.0.1:{entry['port']}" for entry in entries}
    assert {target["targets"][0] for target in targets} == ports | {"127.0.0.1:1"}
    command = " ".join(psutil_command(entries[0]["pid"]))
    assert "--threads 3" in command and "--max-batch 8" in command


def psutil_command(pid):
    import psutil

    return psutil.Process(pid).cmdline()


def test_status_is_a_sign_of_life(home):
    home.want(("1",))
    home.ready("1")

    def at():
        return json.loads((home.path / "fleet" / "status.json").read_text())["at"]

    before = at()
    until(lambda: at() > before, 2.5)


def test_a_killed_server_is_noticed_within_100_ms_and_back_at_once(home):
    home.want(("1",))
    noticed = []
    for _ in range(3):
        (entry,) = home.ready("1")
        started = time.monotonic()
        os.kill(entry["pid"], signal.SIGKILL)
        until(lambda entry=entry: [item["pid"] for item in home.status()] != [entry["pid"]])
        noticed.append(time.monotonic() - started)
    (entry,) = home.ready("1")
    assert sorted(noticed)[1] < 0.1
    assert entry["restarts"] == 3 and "SIGKILL" in entry["message"]


def test_a_crash_is_explained_by_the_last_line_of_stderr(home):
    home.want(("1",))
    (entry,) = home.ready("1")
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{entry['port']}/crash", timeout=5)
    until(lambda: home.status()[0]["restarts"] == 1)
    (entry,) = home.ready("1")
    assert entry["message"] == "exited with status 1: thrown by the model"


def test_a_server_that_keeps_crashing_backs_off_and_shows_it(home):
    home.want(("1", {"exit": 1, "says": "no memory"}))
    entry = until(lambda: next((item for item in home.status() if item["restarts"] >= 3), None))
    assert entry["state"] in ("backoff", "starting") and "no memory" in entry["message"]
    time.sleep(1.0)
    assert home.status()[0]["restarts"] <= 4


def test_a_model_that_can_never_load_fails_without_a_restart_loop(home):
    home.want(("1", {"exit": 3, "says": "digest differs: expected aa, found bb"}))
    until(lambda: home.states() == [("1", "failed")])
    (entry,) = home.status()
    assert (entry["message"], entry["restarts"]) == ("digest differs: expected aa, found bb", 0)
    log = home.path / "logs" / "servers" / "d-1-0.err.log"
    time.sleep(0.5)
    assert log.read_text().count("digest differs") == 1
    home.want(("1", {"exit": 3, "says": "digest differs: expected aa, found bb"}, {"replicas": 1}))
    until(lambda: log.read_text().count("digest differs") == 2)


def test_a_changed_workload_is_replaced_without_a_moment_without_a_ready_server(home):
    home.want(("1",))
    (old,) = home.ready("1")
    home.want(("1", None, {"threads": 2, "histograms": {"inputs": [], "outputs": []}}))
    seen = []

    def replaced():
        seen.append(home.status())
        pids = {item["pid"] for item in seen[-1]}
        return len(seen[-1]) == 1 and old["pid"] not in pids

    until(replaced)
    assert all(any(item["state"] == "ready" for item in entries) for entries in seen)
    (new,) = home.ready("1")
    assert f"{home.path}/fleet/histograms/d-1.json" in psutil_command(new["pid"])
    assert not alive(old["pid"])


def test_a_new_version_that_fails_leaves_the_old_one_alone(home):
    home.want(("1",))
    (old,) = home.ready("1")
    home.want(("1",), ("2", {"exit": 3}))
    until(lambda: ("2", "failed") in home.states())
    assert old["pid"] in {item["pid"] for item in home.status()}


def test_a_server_in_use_finishes_its_requests_before_it_goes(home):
    home.want(("1",), ("2",))
    entries = home.ready("1", "2")
    port = next(item["port"] for item in entries if item["version"] == "2")
    client = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}/slow').status)",
        ],
        stdout=subprocess.PIPE,
    )
    time.sleep(0.15)
    home.want(("1",))
    until(lambda: ("2", "draining") in home.states(), 1)
    assert get(f"http://127.0.0.1:{port}/predict")["version"] == "2"  # still there for late requests
    home.ready("1")
    assert client.communicate(timeout=5)[0] == b"200\n"


def test_an_invalid_file_stops_nothing_and_is_reported(home):
    home.want(("1",))
    (entry,) = home.ready("1")
    (home.path / "fleet" / "desired" / "d.json").write_text('{"endpoint": "d", "model": "m", "workloads": 3}')

    def errors():
        return json.loads((home.path / "fleet" / "status.json").read_text())["errors"]

    assert "workloads: must be a list" in until(errors)["d"]
    assert home.status()[0]["pid"] == entry["pid"] and alive(entry["pid"])
    (home.path / "fleet" / "desired" / "d.json").unlink()
    until(lambda: not home.status() and not alive(entry["pid"]))


def test_servers_outlive_a_killed_fleet_and_the_next_one_adopts_them(home):
    home.want(("1", None, {"replicas": 2}))
    before = {item["pid"] for item in home.ready("1", "1")}
    home.kill()
    for entry in home.status():
        assert get(f"http://127.0.0.1:{entry['port']}/predict")["version"] == "1"
    home.start()
    until(lambda: (home.path / "fleet.log").read_text().count("adopted") == 2)
    assert {item["pid"] for item in home.ready("1", "1")} == before
    victim = home.status()[0]["pid"]
    started = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in {item["pid"] for item in home.status()})
    assert time.monotonic() - started < 1
    assert len(before & {item["pid"] for item in home.ready("1", "1")}) == 1


def test_a_server_that_died_while_no_fleet_ran_is_restarted(home):
    home.want(("1",))
    (entry,) = home.ready("1")
    home.kill()
    os.kill(entry["pid"], signal.SIGKILL)
    until(lambda: not alive(entry["pid"]))
    home.start()
    until(lambda: home.status()[0]["pid"] not in (None, entry["pid"]))
    assert home.ready("1")[0]["restarts"] == 1


def test_a_server_on_no_record_is_ended_by_the_next_fleet(home):
    home.want(("1",))
    (entry,) = home.ready("1")
    home.kill()
    (home.path / "fleet" / "instances.json").unlink()
    home.start()
    until(lambda: not alive(entry["pid"]))
    until(lambda: home.ready("1")[0]["pid"] != entry["pid"])
    assert len(servers_of(home.path)) == 1


def test_a_pid_on_record_that_is_another_process_by_now_is_left_alone(home):
    home.want(("1",))
    home.ready("1")
    home.kill()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        path = home.path / "fleet" / "instances.json"
        document = json.loads(path.read_text())
        document["instances"][0]["process"]["pid"] = bystander.pid
        path.write_text(json.dumps(document))
        home.start()
        until(lambda: [item["pid"] for item in home.status()] not in ([], [bystander.pid]))
        home.ready("1")
        home.want()
        until(lambda: home.status() == [])
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.parametrize("record", ["", "{}", '{"instances": [{"endpoint": 1}]}'])
def test_an_unreadable_record_is_no_obstacle(home, record):
    home.want(("1",))
    (entry,) = home.ready("1")
    home.kill()
    (home.path / "fleet" / "instances.json").write_text(record)
    home.start()
    until(lambda: [item["pid"] for item in home.ready("1")] != [entry["pid"]])
    assert len(servers_of(home.path)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_fleet_leaves_no_server(home, number):
    home.want(("1", None, {"replicas": 2}), ("2", {"unready": True}), ("3", {"exit": 1}))
    until(lambda: home.states().count(("1", "ready")) == 2)
    home.process.send_signal(number)
    assert home.process.wait(20) == 0
    assert servers_of(home.path) == [] and home.status() == []


def test_a_stopped_fleet_also_stops_adopted_servers(home):
    home.want(("1",))
    home.ready("1")
    home.kill()
    home.start()
    until(lambda: "adopted" in (home.path / "fleet.log").read_text())
    assert home.stop() == 0
    assert servers_of(home.path) == []


def test_a_second_fleet_on_the_same_home_is_refused(home):
    until(lambda: (home.path / "fleet" / "status.json").exists())
    done = subprocess.run(
        [sys.executable, "-m", "deploy.fleet", "--home", home.path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (1, f"another fleet is already running on {home.path}\n")
