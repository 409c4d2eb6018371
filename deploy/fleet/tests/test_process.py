import os
import signal
import subprocess
import sys
from pathlib import Path

from deploy.fleet.process import Exit, Processes, ProcessId, identify, marked, runs, send
from deploy.fleet.tests.harness import until


def start(processes, tmp_path, code="import time; time.sleep(600)", env=None):
    command = [sys.executable, "-c", code]
    return processes.start(
        command, {**os.environ, **(env or {})}, tmp_path, tmp_path / "out", tmp_path / "err"
    )


def test_a_child_s_exit_status_is_known(tmp_path):
    processes = Processes()
    process = start(processes, tmp_path, "import sys; sys.exit('gave up')")
    assert until(lambda: processes.ended(process)) == Exit(1)
    assert (tmp_path / "err").read_text() == "gave up\n"
    assert not runs(process)


def test_a_signalled_child_ends_by_that_signal(tmp_path):
    processes = Processes()
    process = start(processes, tmp_path)
    assert processes.ended(process) is None and runs(process)
    processes.signal(process, signal.SIGKILL)
    assert until(lambda: processes.ended(process)) == Exit(-9)


def test_the_end_of_a_process_that_another_one_started_is_noticed():
    processes = Processes()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        process = identify(child.pid)
        assert processes.ended(process) is None
        processes.signal(process, signal.SIGKILL)
        assert until(lambda: processes.ended(process)) == Exit(None)


def test_a_zombie_does_not_run():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    until(lambda: Path(f"/proc/{child.pid}/stat").read_text().split(") ")[1][0] == "Z")
    assert identify(child.pid) is None
    child.wait()


def test_a_reused_pid_is_another_process():
    me = identify(os.getpid())
    other = ProcessId(me.pid, me.created - 1)
    assert runs(me) and not runs(other)
    send(other, signal.SIGKILL)  # must not reach this process


def test_processes_are_found_by_the_mark_in_their_environment(tmp_path):
    processes = Processes()
    process = start(processes, tmp_path, env={"SLIPWAY_TEST_MARK": str(tmp_path)})
    assert until(lambda: marked("SLIPWAY_TEST_MARK", str(tmp_path))) == {process}
    assert marked("SLIPWAY_TEST_MARK", "other") == set()
    processes.signal(process, signal.SIGKILL)
    until(lambda: processes.ended(process))


def test_an_exit_is_put_into_words():
    assert [str(Exit(code)) for code in (0, 3, -15, None)] == [
        "exited with status 0", "exited with status 3", "killed by SIGTERM", "ended",
    ]  # fmt: skip
