from deploy.fleet.documents import status, targets
from deploy.fleet.instance import State
from deploy.fleet.tests.cast import DIGEST, instance, workload


def test_the_status_lists_every_instance_by_endpoint():
    document = status([instance(0, restarts=2, message="killed by SIGKILL")], {"x": "not JSON"}, 5.0)
    assert document == {
        "at": 5.0,
        "endpoints": {
            "d": [
                {
                    "version": "1", "digest": DIGEST, "instance": "d-1-0", "host": "127.0.0.1", "port": 4000,
                    "pid": 1000, "state": "ready", "restarts": 2, "message": "killed by SIGKILL", "since": 100.0,
                }
            ]
        },
        "errors": {"x": "not JSON"},
    }  # fmt: skip


def test_an_instance_without_a_process_has_no_pid():
    (entry,) = status([instance(0, State.FAILED)], {}, 5.0)["endpoints"]["d"]
    assert entry["pid"] is None and entry["state"] == "failed"


def test_prometheus_is_pointed_at_serving_processes_and_the_gateway():
    other = workload(version="2")
    found = targets(
        [instance(0), instance(0, State.STARTING, of=other), instance(1, State.BACKOFF)], "127.0.0.1:80"
    )
    assert found == [
        {
            "targets": ["127.0.0.1:4000"],
            "labels": {"job": "slipway-serving", "endpoint": "d", "model": "m", "model_version": "1"},
        },
        {"targets": ["127.0.0.1:80"], "labels": {"job": "slipway-gateway"}},
    ]


def test_without_a_gateway_only_servers_are_targets():
    assert targets([], None) == []
