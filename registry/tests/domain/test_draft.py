import pytest

from registry.domain.draft import VersionDraft, parse_metrics, parse_points
from registry.errors import Invalid

TENSOR = {"name": "INPUT__0", "dtype": "float32", "shape": [None, 3]}


def test_a_full_document_is_kept():
    draft = VersionDraft.parse(
        {
            "label": "1.2.0",
            "framework": " scikit-learn 1.7 ",
            "git_sha": "ABCDEF0",
            "metrics": {"rmse": 53},
            "hyperparameters": {"depth": 3, "nested": {"a": [1]}},
            "feature_names": ["age", "bmi"],
            "dependencies": ["numpy==2.4"],
            "tags": {"tier": 1, "live": True},
            "parent": "2",
            "signature": {"inputs": [TENSOR], "outputs": [TENSOR]},
        }
    )
    assert draft.signature == {"inputs": [TENSOR], "outputs": [TENSOR]}
    assert (draft.framework, draft.git_sha, draft.parent) == ("scikit-learn 1.7", "abcdef0", 2)
    assert draft.metrics == {"rmse": 53.0}
    assert draft.tags == {"tier": "1", "live": "true"}


def test_nothing_said_is_an_empty_draft():
    assert VersionDraft.parse(None) == VersionDraft()


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "metadata"),
        ({"colour": "red"}, "colour"),
        ({"label": "first"}, "label"),
        ({"git_sha": "xyz"}, "git_sha"),
        ({"framework": 5}, "framework"),
        ({"framework": "a\nb"}, "framework"),
        ({"notes": "a\x00b"}, "metadata"),
        ({"notes": "a\x01b"}, "notes"),
        ({"hyperparameters": []}, "hyperparameters"),
        ({"dependencies": "numpy"}, "dependencies"),
        ({"dependencies": [1]}, "dependencies[0]"),
        ({"metrics": {"a": "high"}}, "metrics.a"),
        ({"metrics": {"a": True}}, "metrics.a"),
        ({"metrics": {"": 1}}, "metrics"),
        ({"metrics": [1]}, "metrics"),
        ({"metrics": {"a": float("nan")}}, "metadata.metrics.a"),
        ({"feature_names": ["a", "a"]}, "feature_names"),
        ({"parent": 0}, "parent"),
        ({"dataset_ref": "x" * 501}, "dataset_ref"),
        ({"tags": {"a": []}}, "tags.a"),
        ({"signature": []}, "signature"),
        ({"signature": {"inputs": [TENSOR]}}, "signature"),
        ({"signature": {"inputs": [], "outputs": [TENSOR]}}, "signature.inputs"),
        ({"signature": {"inputs": [TENSOR, TENSOR], "outputs": [TENSOR]}}, "signature.inputs"),
        ({"signature": {"inputs": [TENSOR], "outputs": [7]}}, "signature.outputs[0]"),
        (
            {"signature": {"inputs": [{**TENSOR, "dtype": "seq(x)"}], "outputs": [TENSOR]}},
            "signature.inputs[0].dtype",
        ),
        (
            {"signature": {"inputs": [{**TENSOR, "dtype": []}], "outputs": [TENSOR]}},
            "signature.inputs[0].dtype",
        ),
        (
            {"signature": {"inputs": [{**TENSOR, "shape": [0]}], "outputs": [TENSOR]}},
            "signature.inputs[0].shape",
        ),
        (
            {"signature": {"inputs": [{**TENSOR, "shape": "N"}], "outputs": [TENSOR]}},
            "signature.inputs[0].shape",
        ),
        (
            {"signature": {"inputs": [{**TENSOR, "name": ""}], "outputs": [TENSOR]}},
            "signature.inputs[0].name",
        ),
    ],
)
def test_a_bad_field_is_named(document, field):
    with pytest.raises(Invalid) as caught:
        VersionDraft.parse(document)
    assert caught.value.field == field


def test_an_infinite_metric_is_refused():
    with pytest.raises(Invalid, match="finite"):
        parse_metrics({"loss": float("inf")})


def test_points_need_name_and_value():
    points = parse_points([{"name": "loss", "value": 1, "step": 4}, {"name": "loss", "value": 0.5}])
    assert [(p.step, p.value) for p in points] == [(4, 1.0), (0, 0.5)]
    for bad in (
        [],
        {},
        [{"name": "a"}],
        [{"name": "a", "value": 1, "step": -1}],
        [{"name": "a", "value": 1, "x": 2}],
    ):
        with pytest.raises(Invalid):
            parse_points(bad)
