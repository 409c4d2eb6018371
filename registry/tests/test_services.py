"""Registering, measuring, naming and deleting."""

from __future__ import annotations

import pytest

from registry import queries, services
from registry.domain.actor import SYSTEM
from registry.domain.draft import Point, VersionDraft
from registry.errors import Conflict, Invalid, NotFound, TooLarge
from registry.models import AuditEntry, LatestMetric, Metric, Model, Version
from registry.models.signals import version_deleting
from registry.tests import onnx_files

pytestmark = pytest.mark.django_db


def register(model, store, path, **draft):
    return services.register_version(
        model=model, artifact=path, store=store, actor=SYSTEM, draft=VersionDraft.parse(draft)
    )


def test_a_model_name_is_taken_once(model):
    with pytest.raises(Conflict, match="exists already"):
        services.create_model(name="churn", actor=SYSTEM)


def test_a_deleted_models_name_is_free_again(model):
    services.delete_model(model=model, actor=SYSTEM)
    again = services.create_model(name="churn", actor=SYSTEM)
    assert queries.model_by_name("churn") == again != model


def test_versions_are_numbered_from_one_and_keep_what_was_said(model, store, onnx_path):
    first = register(model, store, onnx_path, label="1.0.0", git_sha="ABCDEF1", hyperparameters={"depth": 3})
    second = register(model, store, onnx_path, parent=1)
    assert (first.number, second.number) == (1, 2)
    stored = queries.version_by_number(model, 2)
    assert stored.parent == first
    assert queries.version_by_number(model, 1).git_sha == "abcdef1"


def test_the_same_content_is_stored_once_for_two_versions(model, store, onnx_path):
    first, second = register(model, store, onnx_path), register(model, store, onnx_path)
    assert first.digest == second.digest
    assert list(store.digests()) == [first.digest]


def test_a_registered_version_has_signature_profile_and_audit_entry(version):
    version = queries.version_by_number(version.model, 1)
    assert version.signature["inputs"] == [{"name": "X", "dtype": "float32", "shape": ["N", 3]}]
    assert [item["name"] for item in version.profile["inputs"]] == ["age", "spend", "visits"]
    assert version.profile["outputs"][0]["name"] == "y"
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.target) == ("version.register", "models/churn/versions/1")
    assert entry.after["digest"] == version.digest


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95junk.", b"not a model at all", bytes(range(256)) * 9])
def test_a_refused_file_leaves_nothing_behind(model, store, tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(Invalid):
        register(model, store, path)
    assert not list(store.digests())
    assert not Version.objects.exists()
    assert Model.objects.get().last_number == 0


def test_an_oversized_file_is_refused_by_the_limit_in_force(model, store, tmp_path, settings):
    settings.SLIPWAY_MAX_ARTIFACT_MB = 1
    path = tmp_path / "big.onnx"
    path.write_bytes(b"\0" * ((1 << 20) + 1))
    with pytest.raises(TooLarge, match="more than 1 MiB"):
        register(model, store, path)
    assert not list(store.digests())


def test_an_unknown_parent_is_refused_before_anything_is_stored(model, store, onnx_path):
    with pytest.raises(Invalid, match="has no version 9"):
        register(model, store, onnx_path, parent=9)
    assert not list(store.digests())


def test_a_registration_fails_whole_when_its_audit_entry_fails(model, store, onnx_path, monkeypatch):
    monkeypatch.setattr("registry.audit.record", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        register(model, store, onnx_path, metrics={"rmse": 1})
    assert not Version.objects.exists() and not Metric.objects.exists()
    assert Model.objects.get().last_number == 0


@pytest.mark.parametrize("change", [{"digest": "x"}, {"profile": None}, {"number": 7}, {"label": "2.0.0"}])
def test_a_version_cannot_be_changed(version, change):
    for field, value in change.items():
        setattr(version, field, value)
    with pytest.raises(Conflict, match="immutable"):
        version.save()
    with pytest.raises(Conflict, match="immutable"):
        version.save(update_fields=list(change))
    with pytest.raises(Conflict, match="immutable"):
        Version.objects.filter(pk=version.pk).update(**change)
    with pytest.raises(Conflict, match="never deleted"):
        version.delete()
    with pytest.raises(Conflict, match="never deleted"):
        Version.objects.all().delete()


def test_notes_and_tags_may_change_and_are_audited(version):
    services.annotate_version(version=version, notes="solid", tags={"tier": 1}, actor=SYSTEM, reason="review")
    stored = queries.version_by_number(version.model, 1)
    assert (stored.notes, stored.tags) == ("solid", {"tier": "1"})
    assert AuditEntry.objects.first().before == {"notes": "", "tags": {}}


def test_metrics_append_and_the_latest_follows_the_highest_step(version):
    points = [Point("loss", 0.9, 0), Point("loss", 0.4, 2), Point("loss", 0.6, 1)]
    services.add_metrics(version=version, points=points, actor=SYSTEM)
    services.add_metrics(version=version, points=[Point("loss", 9.0, 1)], actor=SYSTEM)
    assert LatestMetric.objects.get(version=version, name="loss").value == 0.4
    history = queries.metric_history(version, "loss")
    assert [(m.step, m.value) for m in history] == [(0, 0.9), (1, 0.6), (1, 9.0), (2, 0.4)]
    assert queries.metric_history(version, "loss", after=(1, history[1].pk), limit=1)[0].value == 9.0


def test_an_alias_moves_and_its_history_is_in_the_trail(version, model, store, onnx_path):
    second = register(model, store, onnx_path)
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    services.set_alias(model=model, name="champion", version=second, actor=SYSTEM, reason="better")
    services.set_alias(model=model, name="champion", version=second, actor=SYSTEM)
    assert queries.champion(model) == second
    moves = AuditEntry.objects.filter(action="alias.set").order_by("sequence")
    assert [(m.before, m.after) for m in moves] == [
        (None, {"version": 1}),
        ({"version": 1}, {"version": 2}),
    ]
    services.delete_alias(model=model, name="champion", actor=SYSTEM)
    assert queries.champion(model) is None
    with pytest.raises(NotFound):
        services.delete_alias(model=model, name="champion", actor=SYSTEM)


def test_an_alias_cannot_point_at_another_models_version(version):
    other = services.create_model(name="other", actor=SYSTEM)
    with pytest.raises(Conflict, match="no version of other"):
        services.set_alias(model=other, name="champion", version=version, actor=SYSTEM)


def test_a_deleted_version_is_hidden_and_its_number_is_not_reused(version, model, store, onnx_path):
    services.delete_version(version=version, actor=SYSTEM, reason="wrong data")
    with pytest.raises(NotFound):
        queries.version_by_number(model, 1)
    assert register(model, store, onnx_path).number == 2
    assert store.exists(version.digest)


def test_a_version_under_an_alias_is_not_deleted(version, model):
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    with pytest.raises(Conflict, match="champion"):
        services.delete_version(version=version, actor=SYSTEM)


def test_an_app_above_can_refuse_a_deletion(version, model):
    def refuse(sender, version, **_):
        raise Conflict("live serves it")

    version_deleting.connect(refuse)
    try:
        for attempt in (
            lambda: services.delete_version(version=version, actor=SYSTEM),
            lambda: services.delete_model(model=model, actor=SYSTEM),
        ):
            with pytest.raises(Conflict, match="live serves it"):
                attempt()
    finally:
        version_deleting.disconnect(refuse)
    assert queries.version_by_number(model, 1)


def test_failed_reference_rows_are_a_finding_not_a_refusal(model, store, tmp_path):
    import numpy as np

    path, rows = tmp_path / "lookup.onnx", tmp_path / "rows.npz"
    path.write_bytes(onnx_files.lookup(entries=4).SerializeToString())
    rows.write_bytes(onnx_files.reference(X=np.arange(5)))
    version = services.register_version(model=model, artifact=path, reference=rows, store=store, actor=SYSTEM)
    (found,) = [f for f in version.findings if f["code"] == "reference_rows_failed"]
    assert found["message"].startswith("1 of 5 reference rows failed: row 4: ")
    assert version.profile["rows"] == 4
