import json

import pytest

from deploy.files import BadFile
from deploy.gateway.instances import Instance, Rotation, parse_status


def entry(number, state="ready", version="1"):
    return {
        "version": version, "instance": f"d-{version}-{number}", "host": "127.0.0.1",
        "port": 4000 + number, "state": state,
    }  # fmt: skip


def status(*entries):
    return json.dumps({"at": 1.0, "endpoints": {"d": list(entries)}}).encode()


def test_only_ready_instances_get_requests():
    states = ["ready", "starting", "draining", "backoff", "failed"]
    ready = parse_status(status(*(entry(number, state) for number, state in enumerate(states))))
    assert ready == {("d", "1"): (Instance("d-1-0", "127.0.0.1", 4000),)}


def test_instances_are_grouped_by_version():
    ready = parse_status(status(entry(0), entry(0, version="2"), entry(1)))
    assert {key: len(found) for key, found in ready.items()} == {("d", "1"): 2, ("d", "2"): 1}


@pytest.mark.parametrize(
    "data", [b"{", b"{}", b'{"endpoints": {"d": [{"state": "ready"}]}}', b'{"endpoints": {"d": 3}}']
)
def test_a_broken_status_is_refused_whole(data):
    with pytest.raises(BadFile):
        parse_status(data)


def test_ready_instances_take_turns():
    ready = parse_status(status(entry(0), entry(1), entry(2)))
    rotation = Rotation()
    turns = [rotation.next(ready, "d", "1").port for _ in range(6)]
    assert sorted(turns[:3]) == [4000, 4001, 4002] and turns[3:] == turns[:3]


def test_a_version_without_ready_instances_has_no_turn():
    assert Rotation().next({}, "d", "1") is None
