import json
import os
import socket
import subprocess
import time

import pytest

from controlplane.up import place
from controlplane.up.place import NotPossible


def refusal(function, *arguments):
    with pytest.raises(NotPossible) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_home_is_made_for_its_owner_only(tmp_path):
    home = tmp_path / "deep" / "home"
    place.prepare_home(home)
    place.prepare_home(home)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "gateway" / "routes").is_dir() and (home / "fleet" / "desired").is_dir()


def test_a_home_that_others_could_read_is_closed(tmp_path):
    tmp_path.chmod(0o755)
    place.prepare_home(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_place_of_the_home_is_one_line_with_the_mend(tmp_path):
    (tmp_path / "home").write_text("")
    text = refusal(place.prepare_home, tmp_path / "home")
    assert str(tmp_path / "home") in text and "set SLIPWAY_HOME" in text


def test_a_read_only_folder_is_one_line_with_the_mend(tmp_path):
    if os.geteuid() == 0:
        home = place.Path("/proc/slipway")  # the one folder that even root cannot write to
    else:
        tmp_path.chmod(0o500)
        home = tmp_path / "home"
    assert "set SLIPWAY_HOME to a folder you can write to" in refusal(place.prepare_home, home)


def test_a_home_in_use_says_where_it_runs(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"url": "http://127.0.0.1:8000", "pid": 77}))
    with place.take(tmp_path):
        text = refusal(place.take, tmp_path)
    assert "http://127.0.0.1:8000 (pid 77)" in text and "SLIPWAY_HOME" in text
    place.take(tmp_path).close()


def test_a_port_in_use_is_named_with_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = refusal(place.require_port, port)
    assert f"port {port} is in use" in text and "SLIPWAY_PORT=" in text
    assert place.bind_error(int(text.split("SLIPWAY_PORT=")[1])) is None


def test_a_free_port_is_accepted_and_nonsense_is_not():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place.require_port(port)
    assert "from 1 to 65535" in refusal(place.require_port, 70_000)


def test_the_gateway_keeps_its_port_while_that_is_free(tmp_path):
    port = place.gateway_port(tmp_path, 8000)
    (tmp_path / "run.json").write_text(json.dumps({"gateway_port": port}))
    assert place.gateway_port(tmp_path, 8000) == port
    with socket.create_server(("127.0.0.1", port)):
        assert place.gateway_port(tmp_path, 8000) != port


@pytest.mark.parametrize("text", ["", "[]", "{", '{"gateway_port": "x"}'])
def test_an_unreadable_record_of_the_last_run_is_no_obstacle(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    assert place.gateway_port(tmp_path, 8000) >= place.FIRST_PORT
    place.wait_for_leftovers(tmp_path, lambda line: None)


def record(home, process, started):
    entry = {"pid": process.pid, "started": started}
    (home / "run.json").write_text(json.dumps({"services": {"web": entry}}))


def test_services_of_a_killed_run_are_waited_for(tmp_path):
    said = []
    with subprocess.Popen(["sleep", "0.5"]) as process:
        record(tmp_path, process, time.time())
        place.wait_for_leftovers(tmp_path, said.append)
        assert process.poll() is not None or process.wait(0.5) == 0
    assert said == ["waiting for services of the last run to end: web"]


def test_a_process_that_only_has_an_old_service_s_pid_is_not_waited_for(tmp_path):
    said = []
    with subprocess.Popen(["sleep", "60"]) as process:
        record(tmp_path, process, time.time() - 3600)
        place.wait_for_leftovers(tmp_path, said.append)
        process.kill()
    assert said == []
