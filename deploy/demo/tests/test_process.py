"""Starting and ending the demo's process, with small stand-ins for `manage.py demo`."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.demo import process
from deploy.demo.process import DemoProcess

DEADLINE = 10.0
WELL_BEHAVED = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("ready", flush=True)
time.sleep(60)
"""
LEAVES_AN_ORPHAN = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {"import time; time.sleep(60)"!r}], start_new_session=True)
print("ready", flush=True)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def started(home: Path, program: str) -> DemoProcess:
    demo = DemoProcess(home, (sys.executable, "-c", program))
    demo.start()
    deadline = time.monotonic() + DEADLINE
    while "ready" not in demo.console.read_text():
        assert time.monotonic() < deadline, "the program did not start"
        time.sleep(0.01)
    return demo


def test_a_demo_that_stops_on_interrupt_leaves_nothing(tmp_path) -> None:
    demo = started(tmp_path, WELL_BEHAVED)
    assert demo.status() is None
    assert demo.stop() == []
    assert demo.status() == 0


def test_an_orphan_is_found_named_and_ended(tmp_path) -> None:
    demo = started(tmp_path, LEAVES_AN_ORPHAN)
    (problem,) = demo.stop()
    assert "time.sleep(60)" in problem
    pid = int(demo.left_over[0].split()[0])
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=DEADLINE)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_demo_that_ignores_the_interrupt_is_ended_all_the_same(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.3)
    demo = started(tmp_path, STUBBORN)
    problems = demo.stop()
    assert "did not stop within 0.3 s" in problems[0]
    assert demo.process is not None
    assert demo.process.wait(DEADLINE) != 0


def test_a_demo_that_ended_by_itself_has_a_status(tmp_path) -> None:
    demo = DemoProcess(tmp_path, (sys.executable, "-c", "raise SystemExit(3)"))
    demo.start()
    assert demo.process is not None
    demo.process.wait(DEADLINE)
    assert demo.status() == 3
    assert demo.stop() == []


def test_the_demo_gets_its_folder_and_a_free_port(tmp_path) -> None:
    program = "import os; print('ready', os.environ['SLIPWAY_HOME'], os.environ['SLIPWAY_PORT'])"
    demo = started(tmp_path, program)
    demo.stop()
    _, home, port = demo.console.read_text().split()
    assert home == str(tmp_path)
    assert 1024 < int(port) < 65536


def test_log_tails_hold_the_end_of_the_console_and_of_every_log(tmp_path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_text("".join(f"line {n}\n" for n in range(100)))
    (tmp_path / "console.log").write_text("hello\n")
    text = DemoProcess(tmp_path).log_tails()
    assert text.startswith("--- console.log\nhello\n--- web.log\n")
    assert "line 99" in text and "line 10\n" not in text


@pytest.fixture(autouse=True)
def no_stragglers(tmp_path):
    yield
    for straggler in DemoProcess(tmp_path)._processes():
        straggler.kill()
