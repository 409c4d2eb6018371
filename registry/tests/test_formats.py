"""Formats beside single ONNX files: described by content, never loaded."""

import os
import pickle
import zipfile
import zlib
from itertools import pairwise

import numpy as np
import pytest

from registry.errors import Invalid
from registry.inspect.limits import Limits
from registry.inspect.sandbox import inspect_file
from registry.tests import model_files, onnx_files


@pytest.fixture
def write(tmp_path):
    def save(content, name="model.bin"):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return save


@pytest.fixture
def folder(tmp_path):
    def make(**files):
        for name, content in files.items():
            path = tmp_path / "folder" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "folder"

    return make


def codes(found):
    return [finding["code"] for finding in found.findings]


class Shell:
    def __reduce__(self):
        return os.system, ("touch /tmp/slipway-was-attacked",)


def test_a_gguf_file_is_described_by_its_header(write):
    found = inspect_file(write(model_files.gguf()))
    assert found.format == "gguf"
    facts = found.inspection
    assert (facts["architecture"], facts["quantisation"], facts["parameters"]) == ("llama", "Q4_0", 64)
    assert facts["metadata"]["llama.block_count"] == "1"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (model_files.gguf()[:-1], "its tensors need .* bytes, .*truncated"),
        (model_files.gguf()[:60], "ends in the middle of its header"),
        (model_files.gguf(claim=1 << 40), "claims 1099511627776 tensors"),
        (model_files.gguf().replace(b"\x05\0\0\0\0\0\0\0llama", b"\xff" * 7 + b"\x7fllama"), "claims .* bytes"),
        (b"GGUF\x09\0\0\0" + b"\0" * 64, "its version is 9"),
        (model_files.gguf(kind=999, values=32 << 58), "claims 9.2e\\+18 parameters"),
        (model_files.gguf(alignment=0), "its alignment is no number of bytes"),
        (model_files.safetensors(shape=[1 << 61, 2], dtype="F3"), "its header cannot be read"),
        (model_files.safetensors(shape=[-2, -2]), "its header cannot be read"),
        (model_files.safetensors(end=99), "the place of tensor 'w' does not fit"),
        (model_files.safetensors()[:-3], "its tensors need 16 bytes"),
        (b"\xff\xff\xff\x04\0\0\0\0{" + b"x" * 99, "header claims more bytes"),
        (model_files.torch_archive({"m/data.pkl": b"\0" * 9_000_000}, compression=zipfile.ZIP_DEFLATED), "unpacks to 8 MiB"),
    ],
)  # fmt: skip
def test_a_damaged_or_lying_header_is_refused_in_bounded_memory(write, content, told):
    with pytest.raises(Invalid, match=told) as caught:
        inspect_file(write(content))
    assert caught.value.field == "artifact"


def test_what_a_file_says_of_itself_can_be_stored_and_told_whatever_it_is(write):
    found = inspect_file(write(b"\x80\x04\x8c\x03\xed\xa0\x80\x8c\x06sys\0em\x93.", name="model.pkl"))
    assert found.inspection["imports"] == ["\ufffd.sys\ufffdem"]


def test_a_safetensors_file_is_described(write):
    found = inspect_file(write(model_files.safetensors()))
    assert (found.format, found.inspection["parameters"]) == ("safetensors", 4)


def test_a_pickle_is_recorded_with_what_it_imports_and_never_run(write):
    found = inspect_file(write(pickle.dumps(np.arange(3)), name="model.pkl"))
    assert found.format == "pickle" and codes(found) == ["executes_code"]
    assert "numpy.ndarray" in found.inspection["imports"]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_reaches_the_shell_is_flagged(write, protocol):
    found = inspect_file(write(pickle.dumps(Shell(), protocol=protocol)))
    assert codes(found) == ["pickle_dangerous"] and "posix.system" in found.findings[0]["message"]
    assert not os.path.exists("/tmp/slipway-was-attacked")


def test_a_pickle_named_onnx_is_flagged_as_misnamed(write):
    found = inspect_file(write(pickle.dumps({"a": 1})), filename="model.onnx")
    assert (found.format, codes(found)) == ("pickle", ["executes_code", "misnamed"])


def test_an_onnx_file_named_pkl_is_flagged_as_misnamed(write):
    found = inspect_file(write(onnx_files.linear().SerializeToString(), name="model.pkl"))
    assert found.format == "onnx" and "misnamed" in codes(found)


def test_a_compressed_joblib_file_is_not_unpacked(write):
    found = inspect_file(write(zlib.compress(pickle.dumps(b"\0" * 100_000_000))))
    assert (found.format, codes(found)) == ("joblib", ["executes_code"])


def test_pytorch_archives_are_told_apart(write):
    content = pickle.dumps({"w": 1})
    checkpoint = inspect_file(write(model_files.torch_archive({"m/data.pkl": content, "m/data/0": b"123"})))
    assert checkpoint.format == "pytorch" and codes(checkpoint) == ["executes_code"]
    members = {"m/data.pkl": content, "m/code/__torch__.py": b"", "m/data/0": b"123", "m/version": b"3\n"}
    script = inspect_file(write(model_files.torch_archive(members)))
    assert (script.format, script.inspection["archive_version"]) == ("torchscript", "3")
    assert script.inspection["modules"] == ["__torch__.py"] and script.inspection["tensor_bytes"] == 3


def test_a_tensorrt_plan_is_recorded_as_tied_to_its_gpu_with_the_release_that_built_it(write):
    found = inspect_file(write(b"ftrt" + b"\0" * 20 + bytes((10, 3, 0, 26)) + b"\0" * 80))
    assert (found.format, codes(found)) == ("tensorrt", ["tied_to_gpu"])
    assert found.inspection["tensorrt"] == "10.3.0.26" and "with: 10.3.0.26." in found.findings[0]["message"]
    other_layout = inspect_file(write(b"ftrt\1" + b"\0" * 19 + bytes((10, 3, 0, 26))))
    assert (other_layout.format, other_layout.inspection) == ("tensorrt", {})


def test_a_tensorrt_plan_that_ends_in_its_header_is_refused(write):
    with pytest.raises(Invalid, match="truncated"):
        inspect_file(write(b"ftrt" + b"\0" * 9))


def test_a_saved_model_shows_its_signature(folder):
    place = folder(
        **{"saved_model.pb": model_files.saved_model(), "variables/variables.data-00000-of-00001": b"x"}
    )
    found = inspect_file(place)
    assert found.format == "savedmodel" and found.inspection["tags"] == ["serve"]
    assert found.signature["inputs"] == [{"name": "x", "dtype": "float32", "shape": [None, 3]}]
    with pytest.raises(Invalid, match="saved_model.pb cannot be read"):
        inspect_file(folder(**{"saved_model.pb": b"\x0a\xff\xff\xff\xff\x07"}))


def test_a_triton_repository_lists_its_models(folder):
    config = b'name: "churn"\nbackend: "onnxruntime"\nmax_batch_size: 8\n'
    found = inspect_file(folder(**{"churn/config.pbtxt": config, "churn/1/model.onnx": b"x"}))
    assert found.format == "triton" and found.inspection["models"] == ["churn/1: onnx"]
    assert found.inspection["configurations"]["churn/config.pbtxt"]["backend"] == "onnxruntime"


def test_an_mlflow_folder_names_its_flavours_and_its_pickles(folder):
    model = b"flavors:\n  sklearn: {pickled_model: model.pkl}\n  python_function: {}\nmlflow_version: 3.1\n"
    found = inspect_file(folder(**{"MLmodel": model, "model.pkl": pickle.dumps({"a": 1})}))
    assert found.format == "mlflow" and found.inspection["flavours"] == ["python_function", "sklearn"]
    assert codes(found) == ["executes_code"] and "model.pkl" in found.findings[0]["message"]


def test_an_mlflow_folder_whose_aliases_stand_for_an_endless_list_takes_no_memory(folder):
    lists = ["a: &a [x]"] + [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghijk")]
    model = "\n".join([*lists, "mlflow_version: *k", "flavors: {x: *k}"])
    found = inspect_file(folder(MLmodel=model.encode()), limits=Limits(memory_mb=2048, cpu_seconds=5))
    assert found.inspection == {"files": 1, "flavours": ["x"], "mlflow": ""}


def test_parts_of_safetensors_are_one_model(folder):
    found = inspect_file(
        folder(**{"a.safetensors": model_files.safetensors(), "b.safetensors": model_files.safetensors(), "config.json": b"{}"})
    )  # fmt: skip
    assert found.format == "safetensors" and found.inspection["parameters"] == 8


def test_onnx_with_external_data_is_checked_and_run(tmp_path, reference_path):
    found = inspect_file(
        onnx_files.save_apart(onnx_files.linear(), tmp_path / "onnx" / "model.onnx"), reference=reference_path
    )
    assert found.format == "onnx" and found.inspection["files"] == 2
    assert found.inspection["parameters"] == 3
    assert found.inspection["reference"]["metrics"]["rmse"] < 1e-5


def test_external_data_that_is_cut_off_is_refused(tmp_path):
    place = onnx_files.save_apart(onnx_files.linear(), tmp_path / "onnx" / "model.onnx")
    (place / "weights.bin").write_bytes(b"1234")
    with pytest.raises(Invalid, match="too short for it"):
        inspect_file(place)


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "C:\\weights", "a/../../b"])
def test_external_data_outside_the_folder_is_refused(folder, location):
    model = onnx_files.with_external_data(location).SerializeToString()
    with pytest.raises(Invalid, match="outside the model's folder, which is never read"):
        inspect_file(folder(**{"model.onnx": model}))


def test_external_data_behind_a_link_is_refused(tmp_path):
    place = onnx_files.save_apart(onnx_files.linear(), tmp_path / "onnx" / "model.onnx")
    (place / "weights.bin").unlink()
    (place / "weights.bin").symlink_to("/etc/passwd")
    with pytest.raises(Invalid, match="is a link or a device"):
        inspect_file(place)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"readme.txt": b"hello"}, "no model that Slipway knows"),
        ({"a.onnx": b"\x08\x0a", "b.onnx": b"\x08\x0a"}, "more than one ONNX model: a.onnx, b.onnx"),
        ({"MLmodel": b"- no"}, "MLmodel cannot be read"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(folder, files, told):
    with pytest.raises(Invalid, match=told):
        inspect_file(folder(**files))
