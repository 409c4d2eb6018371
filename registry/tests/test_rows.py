"""Reference sets as CSV, Parquet and NPZ: the same rows, and bounded memory."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from registry.domain.signature import Signature, Tensor
from registry.errors import Invalid
from registry.inspect.examine import examine
from registry.inspect.reference import MAX_ROWS, load_reference
from registry.tests import onnx_files

SIGNATURE = Signature((Tensor("X", "float32", ("N", 3)),), (Tensor("y", "float32", ("N", 1)),))
NAMES = ["age", "spend", "visits"]


def table(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3)).astype(np.float32).astype(np.float64)
    return X, X.sum(axis=1)


def write(path, X, y, names=NAMES, label="y"):
    columns = {name: X[:, index] for index, name in enumerate(names)}
    if path.suffix == ".npz":
        np.savez_compressed(path, X=X, y=y)
    else:
        (csv.write_csv if path.suffix == ".csv" else parquet.write_table)(
            pa.table({label: y, **columns}), path
        )
    return path


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_the_same_rows_come_out_of_every_format(tmp_path, suffix):
    X, y = table()
    found = load_reference(write(tmp_path / f"rows{suffix}", X, y), SIGNATURE, NAMES)
    assert (found.rows, found.offered) == (200, 200)
    np.testing.assert_allclose(found.feeds["X"], X.astype(np.float32), rtol=1e-6)
    np.testing.assert_allclose(found.y, y, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_are_found_by_name_and_other_columns_are_left_out(tmp_path, suffix):
    X, y = table()
    path = write(
        tmp_path / f"rows{suffix}",
        np.c_[X, y][:, [2, 3, 0, 1]],
        y,
        ["visits", "id", "age", "spend"],
        "target",
    )
    found = load_reference(path, SIGNATURE, NAMES)
    np.testing.assert_allclose(found.feeds["X"], X, rtol=1e-6)
    np.testing.assert_allclose(found.y, y, rtol=1e-6)


def test_without_feature_names_the_columns_are_taken_in_order(tmp_path):
    X, y = table()
    found = load_reference(write(tmp_path / "rows.csv", X, y, ["a", "b", "c"]), SIGNATURE)
    np.testing.assert_allclose(found.feeds["X"], X, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_many_rows_are_thinned_evenly(tmp_path, suffix):
    rows = 3 * MAX_ROWS + 7
    X = np.repeat(np.arange(rows, dtype=np.float64)[:, None], 3, axis=1)
    found = load_reference(write(tmp_path / f"rows{suffix}", X, X[:, 0]), SIGNATURE, NAMES)
    assert (found.rows, found.offered, len(found.y)) == (MAX_ROWS, rows, MAX_ROWS)
    steps = np.diff(found.y)
    assert (steps > 0).all()
    assert steps.max() <= 4
    assert found.y[0] == 0
    assert found.y[-1] >= rows - 4


def test_a_missing_value_is_nan_and_a_text_label_stays_text(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("age,spend,visits,label\n1,,3,yes\n4,5,6,no\n")
    found = load_reference(path, SIGNATURE, NAMES)
    np.testing.assert_array_equal(found.feeds["X"], [[1, np.nan, 3], [4, 5, 6]])
    assert list(found.y) == ["yes", "no"]


def test_text_inputs_of_their_own_are_read_by_name(tmp_path):
    signature = Signature(
        (Tensor("amount", "float32", ("N", 1)), Tensor("colour", "string", ("N", 1))), SIGNATURE.outputs
    )
    path = tmp_path / "rows.csv"
    path.write_text("colour,amount\nred,1.5\nblue,2\n")
    found = load_reference(path, signature)
    assert found.feeds["amount"].ravel().tolist() == [1.5, 2.0]
    assert found.feeds["colour"].ravel().tolist() == ["red", "blue"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"PAR1 not really", "cannot be read"),
        (b"PK\x03\x04 not really", "cannot be read"),
        (b"\x00\x01\x02\xff", ""),
        (b"age,spend,visits\n", "no rows"),
        (b"age,spend,visits\n1,2\n", "cannot be read"),
        (b"age,spend,visits\n1,x,3\n", "holds texts"),
        (b"age,spend\n1,2\n", "shape"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_rows_for_the_model_is_refused(tmp_path, content, why):
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(Invalid) as caught:
        load_reference(path, SIGNATURE, NAMES)
    assert caught.value.field == "reference"
    assert why in str(caught.value)


BOUNDED = """
import resource, sys
from pathlib import Path
from registry.domain.signature import Signature, Tensor
from registry.inspect.examine import examine
from registry.inspect.reference import load_reference
signature = Signature((Tensor("X", "float32", ("N", 3)),), ())
# What is imported, and the threads that are started, with the first file.
load_reference(Path(sys.argv[2]), signature, ["age", "spend", "visits"])
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = size + (160 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
found = load_reference(Path(sys.argv[1]), signature, ["age", "spend", "visits"])
print(found.offered, len(found.feeds["X"]))
"""


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_memory_is_bounded_however_long_the_file_is(tmp_path, suffix):
    """Each file unpacks to more than 250 MiB; the process may take 160 MiB beside what it is made of."""
    path = tmp_path / f"rows{suffix}"
    rows = 12_000_000 if suffix == ".parquet" else 24_000_000
    if suffix == ".npz":
        np.savez_compressed(path, X=np.ones((rows, 3), dtype=np.float32))
    elif suffix == ".parquet":
        part = pa.table({name: np.ones(1_000_000) for name in NAMES})
        with parquet.ParquetWriter(path, part.schema) as writer:
            for _ in range(rows // 1_000_000):
                writer.write_table(part)
    else:
        lines = b"1.25,2.5,3.75\n" * 1_000_000
        with path.open("wb") as file:
            file.write(b"age,spend,visits\n")
            for _ in range(rows // 1_000_000):
                file.write(lines)
    small = write(tmp_path / f"small{suffix}", *table())
    command = [sys.executable, "-c", textwrap.dedent(BOUNDED), str(path), str(small)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [str(rows), str(MAX_ROWS)]


def examined(tmp_path, header, known=(), names=None):
    """What an inspection makes of a table under this header; the model may know names of its own."""
    X, y = table()
    model = onnx_files.linear()
    if names is not None:
        model.metadata_props.add(key="feature_names", value=json.dumps(names))
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    reference = write(tmp_path / "rows.csv", X, y, header)
    found = examine(str(tmp_path / "model.onnx"), str(reference), known)
    about = {"features_named", "reference_by_position", "reference_without_names"}
    columns = [item["name"] for item in found["profile"]["inputs"]]
    assert columns == (found["feature_names"] or ["X_0", "X_1", "X_2"])
    return found["feature_names"], [item for item in found["findings"] if item["code"] in about]


def test_the_header_of_a_table_names_features_that_nobody_named(tmp_path):
    names, (said,) = examined(tmp_path, NAMES)
    assert names == NAMES
    assert (said["code"], said["severity"]) == ("features_named", "info")
    assert "age, spend, visits" in said["message"]


def test_names_that_were_said_or_that_the_model_knows_come_before_a_header(tmp_path):
    assert examined(tmp_path, NAMES, NAMES) == (NAMES, [])
    assert examined(tmp_path, NAMES, names=NAMES) == (NAMES, [])
    names, (said,) = examined(tmp_path, ["a", "spend", "c"], NAMES)
    assert (names, said["code"], said["severity"]) == (NAMES, "reference_by_position", "warning")
    assert "no column 'age'" in said["message"]
    assert "a, spend, c" in said["message"]


def test_a_table_without_a_header_is_told(tmp_path):
    names, (said,) = examined(tmp_path, ["0.5", "-1.25", "3"])
    assert (names, said["code"]) == ([], "reference_without_names")
    assert "0.5, -1.25, 3" in said["message"]
    assert examined(tmp_path, ["0", "1", "2"]) == ([], [])


@pytest.mark.parametrize("names", [["age"], ["age", "age", "age"], [1, 2, 3], {"age": 1}, None])
def test_names_in_a_model_that_do_not_fit_it_are_passed_over(tmp_path, names):
    assert examined(tmp_path, ["X_0", "X_1", "X_2"], names=names) == ([], [])
