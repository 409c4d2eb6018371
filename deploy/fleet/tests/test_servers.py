import json
from pathlib import Path

from deploy.fleet.servers import Servers, flags
from deploy.fleet.tests.cast import DIGEST, workload


def named(command):
    return dict(zip(command[::2], command[1::2], strict=True))


def test_the_command_line_says_all_that_the_server_needs():
    options = (("batch_delay_ms", 0.5), ("deadline_ms", 1_000_000), ("max_batch", 32.0))
    found = named(flags(workload(threads=2, warmup=8, options=options), 4100, Path("/h.json")))
    assert found == {
        "--model": "m", "--model-version": "1", "--endpoint": "d", "--artifact": "/models/1.onnx",
        "--digest": DIGEST, "--host": "127.0.0.1", "--port": "4100", "--threads": "2", "--warmup": "8",
        "--drain-seconds": "10", "--batch-delay-ms": "0.5", "--deadline-ms": "1000000", "--max-batch": "32",
        "--histograms": "/h.json",
    }  # fmt: skip


def test_without_histograms_there_is_no_flag_for_them():
    assert "--histograms" not in flags(workload(), 4100, None)


def test_the_histograms_are_written_where_the_server_is_told(tmp_path):
    servers = Servers(tmp_path, ("/bin/echo",))
    text = json.dumps({"inputs": [], "outputs": []})
    process, begin = servers.launch(workload(histograms=text), "d-1-0", 4100)
    while servers.processes.ended(process) is None:
        pass
    printed = servers.out("d-1-0").read_text()
    assert Path(printed.split("--histograms ")[1].strip()).read_text() == text
    assert begin == 0
