"""Retention over a real database: dry run, deletion, and content that nobody needs any more."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from registry import queries, services
from registry.domain.actor import SYSTEM
from registry.errors import Conflict
from registry.management.commands.intake import retire
from registry.models import AuditEntry, Version
from registry.models.signals import digests_needed, production_asked, version_deleting
from registry.services import blobs, retention
from registry.tests import onnx_files

pytestmark = pytest.mark.django_db
URL = "/api/v1/models/churn/retention"


@pytest.fixture
def versions(model, store, tmp_path):
    """Four versions of different content."""
    made = []
    for number in range(1, 5):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(onnx_files.linear(weight=number).SerializeToString())
        made.append(services.register_version(model=model, artifact=path, store=store, actor=SYSTEM))
    return made


@pytest.fixture
def served(versions):
    """Versions 1 to 3 served production one after another, 3 still does; two are kept."""
    now = timezone.now()

    def answer(sender, model, now, **_):
        return {1: now - timedelta(days=9), 2: now - timedelta(days=3), 3: now}

    services.retention.set_retention(model=versions[0].model, keep=2, actor=SYSTEM)
    production_asked.connect(answer)
    yield now
    production_asked.disconnect(answer)


def run(*arguments):
    out = StringIO()
    call_command("apply_retention", *arguments, stdout=out)
    return out.getvalue()


def test_a_dry_run_says_what_would_go_and_changes_nothing(served, store):
    assert "churn version 1: would go: served production until" in run("--dry-run")
    assert Version.objects.filter(deleted_at=None).count() == 4 and len(list(store.digests())) == 4


def test_applying_it_deletes_softly_and_keeps_the_content_for_the_grace_period(served, versions, store):
    assert "churn version 1: deleted" in run()
    assert [v.number for v in Version.objects.filter(deleted_at=None).order_by("number")] == [2, 3, 4]
    assert store.exists(versions[0].digest)
    assert AuditEntry.objects.get(action="version.delete").reason.startswith("retention: served production")


def test_content_is_freed_after_the_grace_period_and_only_if_nobody_needs_it(
    served, versions, store, model, tmp_path
):
    again = services.register_version(model=model, artifact=tmp_path / "2.onnx", store=store, actor=SYSTEM)
    for version in (versions[0], versions[1]):
        services.delete_version(version=version, actor=SYSTEM)
    told = run("--grace-days", "-1")
    assert f"{versions[0].digest}: freed" in told
    assert not store.exists(versions[0].digest)
    assert store.exists(again.digest), "version 5 has the content of version 2"
    assert AuditEntry.objects.get(action="artifact.free").target == f"artifacts/{versions[0].digest}"


def test_files_that_a_folder_or_an_app_above_needs_are_not_freed(versions, store, model, tmp_path):
    place = tmp_path / "folder"
    place.mkdir()
    (place / "model.onnx").write_bytes((tmp_path / "1.onnx").read_bytes())
    services.register_version(model=model, artifact=place, store=store, actor=SYSTEM)
    for version in versions[:2]:
        services.delete_version(version=version, actor=SYSTEM)

    def need(sender, digests, **_):
        return digests & {versions[1].digest}

    digests_needed.connect(need)
    try:
        assert blobs.unneeded(store, timedelta(days=-1)) == []
    finally:
        digests_needed.disconnect(need)
    assert blobs.unneeded(store, timedelta(days=-1)) == [versions[1].digest]


def test_content_stored_by_a_process_that_died_is_freed(versions, store, tmp_path):
    orphan = services.content.store_path(tmp_path / "1.onnx", store)
    (tmp_path / "more").write_bytes(b"nobody's")
    lost = services.content.store_path(tmp_path / "more", store)
    assert blobs.unneeded(store) == [lost.digest]
    assert blobs.free([lost.digest, orphan.digest], store, actor=SYSTEM, reason="test") == [lost.digest]


def test_a_registration_whose_content_is_freed_under_its_hands_stores_it_again(
    model, store, tmp_path, monkeypatch
):
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_files.linear().SerializeToString())
    real = services.versions.record_version

    def freed_just_before(version, content, *args, **kwargs):
        blobs.free([content.digest], store, actor=SYSTEM, reason="a clean-up at the worst moment")
        real(version, content, *args, **kwargs)

    monkeypatch.setattr(services.versions, "record_version", freed_just_before)
    made = services.register_version(model=model, artifact=path, store=store, actor=SYSTEM)
    assert store.exists(made.digest)


def test_what_is_in_use_is_told_and_kept(served, versions):
    def refuse(sender, version, **_):
        raise Conflict("live could be rolled back to it")

    version_deleting.connect(refuse)
    try:
        assert "kept (live could be rolled back to it)" in run("--dry-run")
        run()
    finally:
        version_deleting.disconnect(refuse)
    assert queries.version_by_number(versions[0].model, 1)


def test_the_policy_is_read_set_and_applied_over_rest(served, versions, api):
    admin = api("admin")
    assert api("viewer").get(URL).json()["removals"][0]["number"] == 1
    assert admin.put(URL, {"keep": 1}, format="json").json()["keep"] == 1
    assert [r["number"] for r in admin.get(URL).json()["removals"]] == [1, 2]
    assert [r["number"] for r in admin.post(URL).json()["removals"]] == [1, 2]
    assert admin.get(URL).json() == {"keep": 1, "removals": []}
    for keep in (-1, "5", None, True, 1001):
        assert admin.put(URL, {"keep": keep}, format="json").status_code == 400


def test_the_number_of_queries_does_not_grow_with_the_versions_that_stay(
    served, versions, django_assert_num_queries
):
    model = versions[0].model
    model.refresh_from_db()
    with django_assert_num_queries(
        6
    ):  # aliases, tenures, versions, what goes, and two questions about that one
        assert len(retention.removals(model)) == 1


def test_the_page_shows_a_dry_run_and_removes_what_it_showed(served, versions, web):
    page = web("viewer").get("/models/churn/retention").content.decode()
    assert "would be deleted" in page and "v1</a>" in page and "v2</a>" not in page
    assert "Change the policy" not in page and "Delete 1 version" not in page, "only for administrators"
    assert Version.objects.filter(deleted_at=None).count() == 4
    client = web("admin")
    assert "Delete 1 version<" in client.get("/models/churn/retention").content.decode()
    client.post("/models/churn/retention/set", {"keep": 1, "reason": "disk"})
    assert "Delete 2 versions" in client.get("/models/churn/retention").content.decode()
    assert "Deleted: v1, v2" in client.post("/models/churn/retention/apply", follow=True).content.decode()
    assert [v.number for v in Version.objects.filter(deleted_at=None).order_by("number")] == [3, 4]
    assert AuditEntry.objects.filter(action="model.retention", reason="disk").exists()
    assert client.post("/models/churn/retention/set", {"keep": -1}).status_code == 400


def test_the_schedule_applies_it_once_in_a_while_and_only_when_it_is_set(served, store, settings, web):
    retire()
    assert Version.objects.filter(deleted_at=None).count() == 4
    assert "Not applied on a schedule" in web("viewer").get("/models/churn/retention").content.decode()
    settings.SLIPWAY_RETENTION_HOURS = 24
    retire()
    assert [v.number for v in Version.objects.filter(deleted_at=None).order_by("number")] == [2, 3, 4]
    assert "every 24 hours: last" in web("viewer").get("/models/churn/retention").content.decode()
    day, now = timedelta(hours=24), timezone.now()
    assert not retention.take_turn(day, now), "it was just done"
    assert retention.take_turn(day, now + day)
    assert not retention.take_turn(day, now + day), "of two processes one does it"


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_the_command_says_when_there_is_nothing_to_do(model, store, arguments):
    assert run(*arguments).startswith("Nothing to do")
