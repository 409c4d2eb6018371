"""The trained models are what the demo says they are, checked on the exported files."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from deploy.demo.models import build, datasets, manifest
from deploy.demo.models.measure import psi, quality, serve


@pytest.fixture(scope="session")
def versions(models: Path) -> dict[tuple[str, int], dict]:
    found = manifest.read_manifest(models)["models"]
    return {(model["name"], item["number"]): item for model in found for item in model["versions"]}


def outputs(models: Path, item: dict, rows: np.ndarray) -> np.ndarray:
    return serve((models / item["artifact"]).read_bytes(), rows).outputs


def test_the_better_candidate_is_better_than_the_champion_on_held_out_rows(models, versions) -> None:
    data = datasets.diabetes()
    champion, better = (
        quality(
            "regression", outputs(models, versions["diabetes", number], data.held_out), data.held_out_target
        )
        for number in (1, 2)
    )
    assert better["rmse"] < champion["rmse"] - 2
    assert better["r2"] > champion["r2"]


def test_the_better_candidate_keeps_the_output_distribution(models, versions) -> None:
    rows = datasets.diabetes().held_out
    champion, better = (outputs(models, versions["diabetes", number], rows) for number in (1, 2))
    assert psi(champion, better) < 0.05


def test_the_skewed_candidate_answers_everything_with_plausible_but_shifted_values(models, versions) -> None:
    data = datasets.diabetes()
    stable, skewed = (outputs(models, versions["diabetes", number], data.held_out) for number in (2, 3))
    assert np.isfinite(skewed).all()
    low, high = data.train_target.min(), data.train_target.max()
    assert low <= skewed.min() and skewed.max() <= high
    assert psi(stable, skewed) > 1


def test_the_training_run_of_the_skewed_candidate_sees_nothing_wrong(versions) -> None:
    item = versions["diabetes", 3]
    assert item["metadata"]["metrics"]["rmse"] < versions["diabetes", 1]["metadata"]["metrics"]["rmse"]
    assert item["served"]["metrics"]["rmse"] > 1.4 * item["metadata"]["metrics"]["rmse"]


@pytest.mark.parametrize(
    "name", [("diabetes", 1), ("diabetes", 2), ("breast-cancer", 1), ("breast-cancer", 2)]
)
def test_an_export_without_a_fault_scores_as_its_training_run_did(versions, name) -> None:
    item = versions[name]
    assert item["served"]["metrics"] == pytest.approx(item["metadata"]["metrics"], rel=1e-3)
    assert item["served"]["error_rate"] == 0


def test_the_slow_candidate_is_slow_and_nothing_else(versions) -> None:
    champion, slow = versions["breast-cancer", 1]["served"], versions["breast-cancer", 2]["served"]
    assert slow["p50_ms"] > 100 * champion["p50_ms"]
    assert slow["psi"] < 0.05
    assert slow["metrics"]["auc"] >= champion["metrics"]["auc"]


def test_the_crashing_candidate_fails_on_a_quarter_of_the_held_out_rows(versions) -> None:
    served = versions["breast-cancer", 3]["served"]
    assert 0.2 <= served["error_rate"] <= 0.35
    assert served["psi"] < 0.1


def test_the_crashing_candidate_agrees_with_scikit_learn_where_it_answers(models, versions) -> None:
    data = datasets.breast_cancer()
    item = versions["breast-cancer", 3]
    served = serve((models / item["artifact"]).read_bytes(), data.held_out)
    expected = quality(
        "classification", served.outputs[served.answered], data.held_out_target[served.answered]
    )
    assert item["served"]["metrics"] == expected


def test_the_crash_is_an_index_that_runs_out_of_a_table(models, versions) -> None:
    session = ort.InferenceSession(models / versions["breast-cancer", 3]["artifact"])
    with pytest.raises(ort.capi.onnxruntime_pybind11_state.Fail, match="Out of range value in index tensor"):
        session.run(None, {"features": np.full((1, 30), 1e4, dtype=np.float32)})


def test_no_version_fails_on_its_own_reference_rows(models, versions) -> None:
    for item in versions.values():
        with np.load(models / item["reference"]) as rows:
            assert rows["X"].dtype == np.float32
            assert len(rows["X"]) == len(rows["y"])
            assert np.isfinite(outputs(models, item, rows["X"])).all()


def test_every_version_takes_rows_of_a_known_width(models, versions) -> None:
    widths = {"diabetes": 10, "breast-cancer": 30}
    for (name, _), item in versions.items():
        (taken,) = ort.InferenceSession(models / item["artifact"]).get_inputs()
        assert taken.shape[1] == widths[name]


def test_every_file_is_small_enough_to_upload_quickly(models) -> None:
    assert max(path.stat().st_size for path in models.rglob("*.onnx")) < 2_000_000


def test_a_folder_that_is_complete_is_not_trained_again(models) -> None:
    before = (models / "manifest.json").stat().st_mtime_ns
    found = build.load_or_train(models)
    assert (models / "manifest.json").stat().st_mtime_ns == before
    assert [model["name"] for model in found["models"]] == ["diabetes", "breast-cancer"]


def test_a_half_written_folder_is_trained_again_to_the_same_bytes(models, tmp_path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema":')
    build.load_or_train(tmp_path)
    for path in sorted(models.rglob("*.onnx")):
        assert (tmp_path / path.relative_to(models)).read_bytes() == path.read_bytes()


def test_the_table_has_a_line_per_version(models) -> None:
    text = build.table(build.load_or_train(models))
    assert len(text.splitlines()) == 7
    assert "rolled_back by error_rate" in text
