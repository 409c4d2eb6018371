"""Batch scoring: every format, killed and resumed, memory, and the comparison with the baseline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitoring.adapters.onnx_model import OnnxModel
from monitoring.adapters.tables.folder import Folder
from monitoring.scoring import engine
from monitoring.tests.scoring.conftest import rows, write
from registry.errors import Invalid
from registry.tests import onnx_files, s3

pytestmark = pytest.mark.django_db
ROWS = 1_050


def score(version, store, source, target, chunk_rows=100, **options):
    job = engine.Job(version, Folder(str(source)), Folder(str(target)), chunk_rows)
    return engine.score(job, store, **options)


def answers(target):
    return np.concatenate([pq.read_table(part)["y"].to_numpy() for part in sorted(target.glob("part-*"))])


def content(target):
    """Every file of the result; the progress is no part of it."""
    return {path.name: path.read_bytes() for path in target.iterdir()}


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_every_row_of_every_format_is_answered_in_its_order(version, store, tmp_path, kind):
    write(tmp_path / "in", kind, rows(ROWS))
    result = score(version, store, tmp_path / "in", tmp_path / "out")
    assert np.allclose(answers(tmp_path / "out"), rows(ROWS).sum(axis=1), rtol=1e-5)
    assert (result["rows"], len(result["parts"])) == (ROWS, 11)


def test_maps_of_probabilities_are_answered_as_the_tensor_that_is_served(tmp_path):
    path, values = tmp_path / "model.onnx", rows(20)
    path.write_bytes(onnx_files.maps().SerializeToString())
    found = OnnxModel(path).run({"X": values})
    expected = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    assert list(found) == ["probability"]
    np.testing.assert_allclose(found["probability"], expected, rtol=1e-5)


def test_a_part_says_which_version_made_it_of_what(version, store, tmp_path):
    write(tmp_path / "in", "csv", rows(10))
    score(version, store, tmp_path / "in", tmp_path / "out")
    about = Folder(str(tmp_path / "out")).about("part-00000-000000.parquet")
    assert (about["version"], about["digest"], about["file"]) == (version.ref, version.digest, "rows.csv")
    result = json.loads((tmp_path / "out" / "_result.json").read_text())
    assert (result["version"], result["digest"]) == (version.ref, version.digest)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
@pytest.mark.parametrize("after", [1, 5, 12])
def test_a_run_that_was_stopped_goes_on_and_ends_as_one_that_was_not(version, store, tmp_path, kind, after):
    write(tmp_path / "in", kind, rows(ROWS))
    if kind != "parquet":
        write(tmp_path / "in", "parquet", rows(250, seed=2))
    score(version, store, tmp_path / "in", tmp_path / "whole")
    seen = []

    def stop():
        seen.append(1)
        return len(seen) == after

    first = score(version, store, tmp_path / "in", tmp_path / "broken", stop=stop)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "broken").glob("part-*")}
    if first is None:
        score(version, store, tmp_path / "in", tmp_path / "broken")
    assert content(tmp_path / "broken") == content(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == at for path, at in before.items()), "a part was made twice"


def test_a_process_killed_half_way_leaves_no_half_part_and_its_successor_ends_byte_for_byte_alike(
    version, store, tmp_path
):
    write(tmp_path / "in", "npz", rows(60_000))
    score(version, store, tmp_path / "in", tmp_path / "whole", chunk_rows=500)
    broken = tmp_path / "broken"
    child = os.fork()
    if not child:
        # Without the database: what was read of the version is all that is needed.
        try:
            score(version, store, tmp_path / "in", broken, chunk_rows=500)
        finally:
            os._exit(0)
    deadline = time.monotonic() + 60
    while len(list(broken.glob("part-*.parquet"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    made = len(list(broken.glob("part-*.parquet")))
    assert 20 <= made < 120 and not (broken / "_result.json").exists()
    score(version, store, tmp_path / "in", broken, chunk_rows=500)
    for path in broken.glob("*.part"):
        path.unlink()  # the draft of the write that was killed
    assert content(broken) == content(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_memory_does_not_grow_with_the_input(tmp_path, kind):
    """The peak of reading four times the rows is the same, in processes of their own."""
    peaks = []
    for count in (400_000, 1_600_000):
        source = tmp_path / str(count)
        # One row group, however large: what some writers make.
        write(source, kind, rows(count), group=count)
        code = (
            "import sys; from monitoring.adapters.tables.folder import Folder; f = Folder(sys.argv[1]); "
            "n = sum(c.rows for name in f.files() for c in f.chunks(name, 5000)); "
            "print(n, next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        done = subprocess.run([sys.executable, "-c", code, str(source)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        read, peak = map(int, done.stdout.split())
        assert read == count
        peaks.append(peak)
    # In KiB; getrusage would tell of the process that forked. The larger CSV has 50 MB; what is measured beside is the noise of an allocator.
    assert peaks[1] - peaks[0] < 12_000, peaks


def test_answers_are_compared_with_the_baseline_at_the_end(version, store, tmp_path):
    write(tmp_path / "same", "parquet", rows(2_000, seed=3))
    write(tmp_path / "other", "parquet", rows(2_000, seed=3, shift=0.4))
    same = score(version, store, tmp_path / "same", tmp_path / "out-same")
    other = score(version, store, tmp_path / "other", tmp_path / "out-other")
    assert (same["state"], other["state"]) == ("stable", "drifted")
    (output,) = other["outputs"]
    assert output["n"] == 2_000 and output["psi"] > 0.2


def test_another_run_s_parts_are_not_mixed_with_ours(version, store, tmp_path):
    write(tmp_path / "in", "csv", rows(100))
    score(version, store, tmp_path / "in", tmp_path / "out")
    with pytest.raises(Invalid, match="another run"):
        score(version, store, tmp_path / "in", tmp_path / "out", chunk_rows=50)


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("rows.csv", "X_0,X_1\n1,2\n", "lacks the columns X_2"),
        ("rows.csv", "X_0,X_1,X_2\n1,2,three\n", "must be float32"),
        ("rows.parquet", "no parquet", "rows.parquet cannot be read"),
        ("rows.npz", "no zip", "rows.npz cannot be read"),
        ("notes.txt", "", "holds no CSV, Parquet or NPZ"),
    ],
    ids=["missing column", "text", "broken parquet", "broken npz", "no table"],
)
def test_input_that_does_not_fit_is_refused_by_name(version, store, tmp_path, name, text, said):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text(text)
    with pytest.raises(Invalid, match=said):
        score(version, store, tmp_path / "in", tmp_path / "out")


def test_in_a_bucket_too_a_run_that_was_stopped_ends_as_one_that_was_not(
    version, store, tmp_path, monkeypatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for kind in ("csv", "parquet", "npz"):
        write(tmp_path / "in", kind, rows(250))
    score(version, store, tmp_path / "in", tmp_path / "whole")
    with s3.serving() as (address, client):
        for path in (tmp_path / "in").iterdir():
            client.upload_file(str(path), s3.BUCKET, f"in/{path.name}")
        host = address.removeprefix("http://")
        place = f"s3://{s3.BUCKET}/{{}}?endpoint_override={host}&scheme=http&region=us-east-1"
        turns = 1
        while score(version, store, place.format("in"), place.format("out"), stop=lambda: True) is None:
            turns += 1
        listed = client.list_objects_v2(Bucket=s3.BUCKET, Prefix="out/")["Contents"]
        keys = [item["Key"] for item in listed if item["Key"] != "out/"]
        found = {key: client.get_object(Bucket=s3.BUCKET, Key=key)["Body"].read() for key in keys}
    whole = content(tmp_path / "whole")
    assert turns == 10 and {key.removeprefix("out/") for key in keys} == whole.keys()
    # The plan says where the tables are, and when they were written there.
    assert all(found[f"out/{name}"] == whole[name] for name in whole.keys() - {"_plan.json"})
