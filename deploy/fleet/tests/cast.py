"""The workloads and instances that the fleet's tests are about."""

from dataclasses import replace

from deploy.fleet.instance import Instance, State
from deploy.fleet.lifecycle import Clock
from deploy.fleet.process import ProcessId
from deploy.fleet.spec import Workload

DIGEST = "sha256:" + "a" * 64
WORKLOAD = Workload("d", "m", "1", DIGEST, "/models/1.onnx", 1, 1, 0, None, ())


def workload(**changes):
    return replace(WORKLOAD, **changes)


def instance(index=0, state=State.READY, of=WORKLOAD, **changes):
    process = None if state in (State.BACKOFF, State.FAILED) else ProcessId(1000 + index, 5.0)
    fields = {"process": process, "port": 4000 + index, "since": 100.0} | changes
    return Instance(of.endpoint, of.model, of.version, of.digest, of.revision, index, state, **fields)


def at(now):
    return Clock(now, 1_700_000_000.0 + now)
