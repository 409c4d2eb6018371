"""A version that sums three columns, and tables of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from registry import services
from registry.adapters.filesystem import FilesystemStore
from registry.domain.actor import SYSTEM
from registry.models import Model, Version
from registry.tests import onnx_files
from registry.tests.people import people

__all__ = ["people"]
NAMES = ("X_0", "X_1", "X_2")
KEPT = ("number", "digest", "size", "filename", "format", "signature", "profile", "feature_names", "state")


@pytest.fixture
def store(tmp_path):
    return FilesystemStore(tmp_path / "artifacts")


@pytest.fixture(scope="module")
def inspected():
    """What the inspection found, kept so that one test pays for it."""
    return {}


@pytest.fixture
def version(store, tmp_path, inspected):
    """y = the sum of three columns, with a baseline of sums around 1.5."""
    path, reference = tmp_path / "model.onnx", tmp_path / "reference.npz"
    path.write_bytes(onnx_files.linear().SerializeToString())
    model = Model.objects.create(name="adder")
    if inspected:
        with path.open("rb") as stream:
            store.put(stream)
        return Version.objects.create(model=model, **inspected)
    reference.write_bytes(onnx_files.reference(X=rows(2_000, seed=7)))
    made = services.register_version(
        model=model, artifact=path, reference=reference, store=store, actor=SYSTEM
    )
    inspected.update({name: getattr(made, name) for name in KEPT})
    return made


def rows(count, seed=1, shift=0.0):
    return (np.random.default_rng(seed).random((count, 3)) + shift).astype(np.float32)


def table(values):
    return pa.table({name: values[:, index] for index, name in enumerate(NAMES)})


def write(folder, kind, values, group=3_330):
    folder.mkdir(exist_ok=True)
    if kind == "csv":
        pyarrow.csv.write_csv(table(values), folder / "rows.csv")
    elif kind == "parquet":
        pq.write_table(table(values), folder / "rows.parquet", row_group_size=group)
    else:
        np.savez(folder / "rows.npz", X=values)
