"""What a file really is; each case runs the real child process."""

import io
import pickle
import zipfile
import zlib

import numpy as np
import pytest

from registry.errors import Invalid
from registry.inspect.limits import Limits
from registry.inspect.sandbox import inspect_file
from registry.tests import onnx_files


@pytest.fixture
def write(tmp_path):
    def save(content, name="model.onnx"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return path

    return save


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def codes(found):
    return [finding["code"] for finding in found.findings]


def test_a_sound_model_is_described(write):
    found = inspect_file(write(onnx_files.linear(columns=3)))
    assert found.format == "onnx"
    assert found.signature == {
        "inputs": [{"name": "X", "dtype": "float32", "shape": ["N", 3]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["N", 1]}],
    }
    assert found.inspection["opsets"] == {"ai.onnx": 17}
    assert (found.inspection["operators"], found.inspection["parameters"]) == ({"MatMul": 1}, 3)
    assert found.profile is None and codes(found) == ["no_baseline"]


LINEAR = onnx_files.linear().SerializeToString()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "file is empty"),
        (LINEAR[: len(LINEAR) // 2], "damaged or truncated"),
        (LINEAR[:-2], "damaged or truncated"),
        (LINEAR[:2], "damaged or truncated"),
        (b"\x00\xff" * 500, "of no format Slipway knows"),
        (pickle.dumps({"a": 1})[:-4], "begins like a pickle but cannot be read to the end"),
        (zlib.compress(b"log line " * 1000), "zlib-compressed data"),
        (zipped("model/data.pkl", "model/data/0"), "damaged or truncated"),
        (zipped("model.onnx"), "zip archive"),
        (zipped("X.npy", "y.npy"), "NumPy archive"),
        (b"PK\x03\x04 broken", "damaged zip"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"\x89HDF\r\n\x1a\n....", "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (b"<html>please sign in</html>", "text file"),
        (b'\x40\x00\x00\x00\x00\x00\x00\x00{"w":{"dtype":"F32"}}', "safetensors"),
    ],
)
def test_what_is_no_sound_onnx_model_is_refused_with_its_true_name(write, content, told):
    with pytest.raises(Invalid, match=told) as caught:
        inspect_file(write(content))
    assert caught.value.field == "artifact" and caught.value.hint


def test_texts_in_another_encoding_do_not_stop_a_model(write):
    model = onnx_files.linear()
    model.producer_name = "Exporter"
    model.metadata_props.add(key="site", value="Zuerich")
    content = (
        model.SerializeToString().replace(b"Zuerich", b"Z\xfcrichs").replace(b"Exporter", b"Export\xe9r")
    )
    facts = inspect_file(write(content)).inspection
    assert (facts["producer"], facts["metadata"]) == ("Export\ufffdr", {"site": "Z\ufffdrichs"})


def test_the_content_counts_not_the_extension(write):
    assert inspect_file(write(onnx_files.linear(), name="model.pkl")).format == "onnx"


def test_an_unsupported_opset_is_named_with_the_newest_supported(write):
    model = onnx_files.linear()
    model.opset_import[0].version = 999
    with pytest.raises(Invalid, match=r"uses opset 999 of ai.onnx; the newest supported is \d+"):
        inspect_file(write(model))


def test_an_unsupported_ir_version_is_named(write):
    with pytest.raises(Invalid, match="IR version 100; the newest supported"):
        inspect_file(write(onnx_files.linear(ir=100)))


def test_an_operator_the_runtime_does_not_know_is_refused(write):
    model = onnx_files.linear()
    model.graph.node[0].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)
    with pytest.raises(Invalid, match="ONNX Runtime .* cannot load the model") as caught:
        inspect_file(write(model))
    assert "model.onnx" not in caught.value.message, "no path of the server is told"


def test_a_tensor_shorter_than_it_declares_is_refused(write):
    model = onnx_files.linear()
    model.graph.initializer[0].dims[0] = 1 << 40
    with pytest.raises(Invalid, match="checker refuses"):
        inspect_file(write(model))


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret.bin", "a/../../b", "..\\b", "C:/b"])
def test_external_data_outside_the_folder_is_refused(write, location):
    with pytest.raises(Invalid, match="outside the model's folder"):
        inspect_file(write(onnx_files.with_external_data(location)))


def test_external_data_that_was_not_uploaded_is_refused_even_if_it_exists(write, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"\0" * 12)
    with pytest.raises(Invalid, match="not in the upload"):
        inspect_file(write(onnx_files.with_external_data("weights.bin")))


def test_a_model_that_wants_terabytes_is_flagged_in_bounded_memory(write):
    found = inspect_file(write(onnx_files.with_huge_tensor()), limits=Limits(memory_mb=1024))
    (trial,) = [f for f in found.findings if f["code"] == "trial_failed"]
    assert trial["severity"] == "warning" and "allocate" in trial["message"]


def test_an_inspection_that_takes_too_long_is_stopped(write):
    with pytest.raises(Invalid, match="did not finish within 0.01 seconds"):
        inspect_file(write(onnx_files.linear()), limits=Limits(wall_seconds=0.01))


def test_the_processor_limit_holds(write):
    with pytest.raises(Invalid):
        inspect_file(write(onnx_files.linear()), limits=Limits(cpu_seconds=0))


def test_the_reference_set_gives_profile_and_hold_out_metrics(write):
    X = np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)
    rows = write(onnx_files.reference(X=X, y=X.sum(axis=1) + 1), "ref.npz")
    found = inspect_file(write(onnx_files.linear(columns=2)), reference=rows, feature_names=["age", "bmi"])
    assert [i["name"] for i in found.profile["inputs"]] == ["age", "bmi"]
    (output,) = found.profile["outputs"]
    assert (output["name"], output["tensor"], output["column"]) == ("y", "y", 0)
    assert sum(output["counts"]) == found.profile["rows"] == 300
    assert found.inspection["reference"]["metrics"]["rmse"] == pytest.approx(1, abs=1e-5)
    assert found.findings == []


def test_rows_that_fail_are_counted_and_the_others_make_the_baseline(write):
    X = np.array([0, 1, 9, 2, -7, 3] * 100)
    rows = write(onnx_files.reference(X=X), "ref.npz")
    found = inspect_file(write(onnx_files.lookup(entries=4)), reference=rows)
    (failed,) = [f for f in found.findings if f["code"] == "reference_rows_failed"]
    assert failed["message"].startswith("200 of 600 reference rows failed: row 2: ")
    assert found.profile["rows"] == 400


def test_a_model_that_fails_on_every_row_has_no_baseline(write):
    rows = write(onnx_files.reference(X=np.array([50, 60])), "ref.npz")
    found = inspect_file(write(onnx_files.lookup()), reference=rows)
    assert found.profile is None
    assert found.findings[0]["message"].startswith("2 of 2 reference rows failed")


def test_answers_that_are_not_finite_are_a_finding(write):
    rows = write(onnx_files.reference(X=np.array([[0.0], [1.0], [2.0], [0.0]])), "ref.npz")
    found = inspect_file(write(onnx_files.divider()), reference=rows)
    assert "NaN or infinite for 2 of 4 reference rows" in found.findings[0]["message"]


def test_a_model_that_always_says_the_same_is_a_finding(write):
    X = np.random.default_rng(1).normal(size=(50, 3))
    rows = write(onnx_files.reference(X=X), "ref.npz")
    assert codes(inspect_file(write(onnx_files.linear(weight=0.0)), reference=rows)) == ["output_constant"]


def test_several_inputs_are_taken_by_name_with_text_as_categories(write):
    age = np.array([[30.0], [50.0], [70.0]])
    town = np.array([["Graz"], ["Wien"], ["Graz"]])
    rows = write(onnx_files.reference(age=age, town=town, y=np.array([False, True, True])), "ref.npz")
    found = inspect_file(write(onnx_files.two_inputs()), reference=rows)
    kinds = {item["name"]: item["kind"] for side in ("inputs", "outputs") for item in found.profile[side]}
    assert kinds == {
        "age": "numeric",
        "town": "categorical",
        "older": "categorical",
        "town_out": "categorical",
    }
    assert found.profile["outputs"][0]["categories"] == ["0", "1"]
    assert found.inspection["reference"]["metrics"] == {"accuracy": 1.0}


def test_maps_of_probabilities_are_described_as_the_tensor_that_is_served(write):
    rows = np.log(np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], dtype=np.float32))
    reference = write(onnx_files.reference(X=rows, expected=np.exp(rows)), "ref.npz")
    found = inspect_file(write(onnx_files.maps()), reference=reference)
    assert found.signature["outputs"] == [{"name": "probability", "dtype": "float32", "shape": ["N", 3]}]
    assert found.inspection["operators"] == {"Softmax": 1, "ai.onnx.ml.ZipMap": 1}
    assert [column["name"] for column in found.profile["outputs"]] == [f"probability_{at}" for at in range(3)]
    assert found.inspection["parity"]["passed"] is True
    (told,) = [f["message"] for f in found.findings if f["code"] == "output_was_map"]
    assert "its columns are the classes c, a, b." in told


def test_a_fixed_batch_is_respected_and_told(write):
    rows = write(onnx_files.reference(X=np.ones((10, 3)) * np.arange(10)[:, None]), "ref.npz")
    found = inspect_file(write(onnx_files.linear(batch=4)), reference=rows)
    assert found.profile["rows"] == 8
    assert "fixed_batch" in codes(found)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"not a zip", "cannot be read as a NumPy"),
        (onnx_files.reference(Z=np.ones((2, 3))), "no array X .it holds Z"),
        (onnx_files.reference(X=np.ones((2, 4))), r"shape \(2, 4\); the model takes \[N, 3\]"),
        (onnx_files.reference(X=np.ones(3)), "the model takes"),
        (onnx_files.reference(X=np.ones((0, 3))), "no rows"),
        (onnx_files.reference(X=np.ones((2, 3)), y=np.ones(3)), "X has 2 rows but y has shape"),
        (onnx_files.reference(X=np.array([["a", "b", "c"]])), "the model takes float32"),
        (onnx_files.reference(X=np.array([[{}, 1, 2]], dtype=object)), "Python objects"),
    ],
)
def test_a_reference_set_that_does_not_fit_is_refused(write, content, told):
    with pytest.raises(Invalid, match=told) as caught:
        inspect_file(write(onnx_files.linear()), reference=write(content, "ref.npz"))
    assert caught.value.field == "reference"


def test_a_reference_set_that_unpacks_to_gigabytes_is_not_unpacked_whole(write, tmp_path):
    """More than the child's memory limit, in a file of a few MiB: its first rows are read and the rest is not."""
    path, rows = tmp_path / "bomb.npz", (1100 << 20) // 12
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, 3)}
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("X.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(1100):
            member.write(b"\0" * (1 << 20))
    assert path.stat().st_size < 4 << 20
    found = inspect_file(write(onnx_files.linear()), reference=path)
    assert found.profile["rows"] < rows


def test_feature_names_must_match_the_columns(write):
    with pytest.raises(Invalid, match="2 feature names were given, but the model takes 3 columns"):
        inspect_file(write(onnx_files.linear()), feature_names=["a", "b"])


def test_the_child_sees_no_secret_of_the_server(write, monkeypatch):
    from registry.inspect import sandbox

    monkeypatch.setenv("SLIPWAY_SECRET_KEY", "hush")
    assert "SLIPWAY_SECRET_KEY" not in sandbox._ENVIRONMENT
    inspect_file(write(onnx_files.linear()))


def test_the_child_loads_no_django():
    import subprocess
    import sys

    code = "import registry.inspect.examine, sys; sys.exit(any(m.startswith('django') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- parity and latency ----------------------------------------------------------------------------

X = np.arange(30, dtype=np.float32).reshape(10, 3)
ANSWERS = X.sum(axis=1, keepdims=True)


def compared(write, **arrays):
    rows = write(onnx_files.reference(X=X, **arrays), "ref.npz")
    return inspect_file(write(onnx_files.linear()), reference=rows)


@pytest.mark.parametrize("name", ["expected", "outputs.y"])
def test_a_model_that_answers_as_before_its_export_has_parity(write, name):
    found = compared(write, **{name: ANSWERS * (1 + 1e-4)})
    assert found.inspection["parity"]["passed"] is True
    assert "parity_passed" in codes(found)
    assert found.inspection["parity"]["outputs"]["y"]["rtol"] == 1e-3, "float32"


def test_an_export_that_changed_the_answers_is_found_out(write):
    changed = ANSWERS.copy()
    changed[[2, 7]] += 1
    found = compared(write, expected=changed)
    assert found.inspection["parity"]["passed"] is False
    (told,) = [f["message"] for f in found.findings if f["code"] == "parity_failed"]
    assert "'y' differs on 2 of 10 rows, by up to 1" in told


def test_answers_of_another_shape_are_no_parity(write):
    assert compared(write, expected=np.ones((10, 2))).inspection["parity"]["passed"] is False


def test_whole_numbers_and_texts_must_be_equal(write):
    feeds = {"age": np.full((3, 1), 50, np.float32), "town": np.array([["a"], ["b"], ["c"]])}
    older = np.ones((3, 1), bool)
    for town, passed in ((feeds["town"], True), (feeds["town"][::-1], False)):
        arrays = {**feeds, "outputs.older": older, "outputs.town_out": town}
        rows = write(onnx_files.reference(**arrays), "ref.npz")
        found = inspect_file(write(onnx_files.two_inputs()), reference=rows)
        assert found.inspection["parity"]["passed"] is passed
        assert found.inspection["parity"]["outputs"]["older"]["differing"] == 0


def test_rows_the_model_cannot_answer_are_no_parity(write):
    arrays = {"X": np.arange(5), "expected": np.arange(5, dtype=np.float32)}
    rows = write(onnx_files.reference(**arrays), "ref.npz")
    found = inspect_file(write(onnx_files.lookup(entries=4)), reference=rows)
    assert found.inspection["parity"]["outputs"]["y"]["differing"] == 1


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"outputs.z": ANSWERS}, "answers for 'z', which is no output"),
        ({"expected": ANSWERS[:3]}, "X has 10 rows but expected has shape"),
    ],
)
def test_expected_answers_that_do_not_fit_are_refused(write, arrays, told):
    with pytest.raises(Invalid, match=told):
        compared(write, **arrays)


def test_without_expected_answers_there_is_no_verdict_on_parity(write):
    assert compared(write).inspection["parity"] is None


def test_latency_is_profiled_over_batch_sizes_that_the_model_takes(write):
    profile = inspect_file(write(onnx_files.linear())).inspection["latency"]
    assert [line["batch"] for line in profile] == [1, 2, 4, 8, 16, 32, 64]
    assert all(0 < line["p50_ms"] <= line["p95_ms"] for line in profile)
    fixed = inspect_file(write(onnx_files.linear(batch=4))).inspection["latency"]
    assert [line["batch"] for line in fixed] == [4]
