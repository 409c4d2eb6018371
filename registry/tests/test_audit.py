"""The trail: written with every change, and impossible to touch unnoticed."""

import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from registry import audit, queries
from registry.domain.actor import SYSTEM, Actor
from registry.errors import Conflict
from registry.models import AuditEntry, AuditHead

ACTOR = Actor(kind="token", name="eva", id=7, via="slw_abcd1234", address="10.0.0.9")


def record(n, **changes):
    return audit.record(
        **{
            "actor": ACTOR,
            "action": "thing.change",
            "target": f"things/{n}",
            "before": {"x": n / 3},
            "after": {"big": 10**22, "small": 1e-300, "text": "ü\n\"'"},
            "reason": "because",
        }
        | changes
    )


@pytest.fixture
def trail(db):
    for n in range(5):
        record(n)


def execute(sql):
    """SQL of somebody who owns the database, hence can drop the trigger first."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER IF EXISTS audit_is_append_only")
        else:
            cursor.execute("ALTER TABLE registry_auditentry DISABLE TRIGGER ALL")
        for statement in sql.split(";"):
            cursor.execute(statement)


def test_an_entry_says_who_what_where_and_why(trail):
    entry = AuditEntry.objects.get(sequence=2)
    assert (entry.actor_name, entry.via, entry.address, entry.reason) == (
        "eva",
        "slw_abcd1234",
        "10.0.0.9",
        "because",
    )
    assert entry.before == {"x": 1 / 3} and entry.after["big"] == 10**22


def test_an_untouched_trail_verifies(trail):
    assert audit.verify_chain().whole
    assert audit.verify_chain().checked == 5


def test_an_empty_trail_verifies(db):
    assert audit.verify_chain().whole


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE registry_auditentry SET reason = 'other' WHERE sequence = 3", "entry 3 was changed"),
        ("UPDATE registry_auditentry SET actor_name = 'max' WHERE sequence = 1", "entry 1 was changed"),
        (
            "UPDATE registry_auditentry SET at = '2020-01-01 00:00:00+00:00' WHERE sequence = 4",
            "entry 4 was changed",
        ),
        ("UPDATE registry_auditentry SET before = '{}' WHERE sequence = 5", "entry 5 was changed"),
        ("DELETE FROM registry_auditentry WHERE sequence = 2", "entry 2 is missing"),
        ("DELETE FROM registry_auditentry WHERE sequence = 5", "entry 5 was the last one written"),
        ("DELETE FROM registry_auditentry", "ends at entry 0"),
        (
            "UPDATE registry_auditentry SET sequence = 99 WHERE sequence = 2;"
            "UPDATE registry_auditentry SET sequence = 2 WHERE sequence = 3;"
            "UPDATE registry_auditentry SET sequence = 3 WHERE sequence = 99",
            "entry 2 does not follow",
        ),
        (
            "DELETE FROM registry_auditentry WHERE sequence = 2;"
            "UPDATE registry_auditentry SET sequence = sequence - 1 WHERE sequence > 2",
            "entry 2 does not follow",
        ),
    ],
)
def test_a_row_changed_removed_or_reordered_by_sql_shows(trail, sql, told):
    execute(sql)
    verdict = audit.verify_chain()
    assert not verdict.whole and told in verdict.fault
    with pytest.raises(CommandError, match="broken"):
        call_command("verify_audit")


def test_the_command_says_that_the_chain_is_whole(trail, capsys):
    call_command("verify_audit")
    assert "whole: 5 entries" in capsys.readouterr().out


def test_the_database_itself_refuses_to_change_an_entry(trail):
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE registry_auditentry SET reason = 'other' WHERE sequence = 3")


def test_the_model_refuses_to_change_or_delete_an_entry(trail):
    entry = AuditEntry.objects.get(sequence=3)
    for attempt in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(reason="x"),
    ):
        with pytest.raises(Conflict):
            attempt()


def test_an_entry_disappears_with_the_change_it_describes(trail):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(9)
        raise ZeroDivisionError
    assert audit.verify_chain().checked == 5
    record(10)
    assert audit.verify_chain().checked == 6


def test_values_that_json_lacks_are_made_plain(db):
    from datetime import UTC, datetime
    from decimal import Decimal

    entry = record(
        1, after={"at": datetime(2026, 1, 2, tzinfo=UTC), "n": Decimal("1.5"), "x": float("nan"), "t": (1,)}
    )
    assert entry.after == {"at": "2026-01-02T00:00:00Z", "n": "1.5", "x": None, "t": [1]}
    assert audit.verify_chain().whole


def test_entries_are_found_by_target_and_everything_below_it(db):
    for target in ("models/a", "models/a/versions/1", "models/ab"):
        record(0, target=target)
    found = queries.audit_page(target="models/a").items
    assert [entry.target for entry in found] == ["models/a/versions/1", "models/a"]
    page = queries.audit_page(limit=2)
    assert [entry.sequence for entry in page.items] == [3, 2]
    assert [entry.sequence for entry in queries.audit_page(after=int(page.next)).items] == [1]


@pytest.mark.django_db(transaction=True)
def test_entries_written_at_once_form_one_chain():
    problems = []

    def write(n):
        try:
            with transaction.atomic():
                record(n)
        except Exception as error:  # noqa: BLE001
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert audit.verify_chain().whole and audit.verify_chain().checked == 16
    assert AuditHead.objects.count() == 1


def test_a_system_actor_is_recorded_as_slipway(db):
    entry = record(1, actor=SYSTEM)
    assert (entry.actor_kind, entry.actor_name, entry.actor_id) == ("system", "slipway", None)
    json.dumps(entry.after)


def rewrite(until):
    """What somebody with SQL and this source could do: seal a changed trail anew, head and all."""
    from registry.domain.chain import GENESIS, seal

    previous = GENESIS
    for entry in AuditEntry.objects.filter(sequence__lte=until).order_by("sequence"):
        digest = seal(entry.sequence, audit._content(entry), previous)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE registry_auditentry SET previous = %s, digest = %s WHERE sequence = %s",
                [previous, digest, entry.sequence],
            )
        previous = digest
    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_audithead SET sequence = %s, digest = %s", [until, previous])


def test_a_trail_that_was_sealed_anew_without_the_key_shows(trail):
    execute("UPDATE registry_auditentry SET reason = 'other' WHERE sequence = 3")
    rewrite(5)
    assert "secret key" in audit.verify_chain().fault


def test_a_tail_that_was_cut_off_with_an_older_head_put_back_shows_by_the_anchor(trail):
    older = AuditHead.objects.values("sequence", "digest", "seal").get()
    for n in range(5, 8):
        record(n)
    head = audit.read_head().place
    assert audit.verify_chain(anchor=head).whole
    execute("DELETE FROM registry_auditentry WHERE sequence > 5")
    AuditHead.objects.update(**older)
    assert audit.verify_chain().whole, "nothing inside the database tells"
    assert "was noted outside" in audit.verify_chain(anchor=head).fault
    with pytest.raises(CommandError, match="noted outside"):
        call_command("verify_audit", anchor=f"{head.sequence}:{head.digest}")


def test_an_anchor_with_another_digest_shows(trail):
    from registry.domain.chain import Place

    assert "rewritten" in audit.verify_chain(anchor=Place(2, "0" * 64)).fault


def test_an_entry_added_behind_the_head_or_before_the_first_shows(trail):
    copy = "INSERT INTO registry_auditentry SELECT {n}, at, actor_kind, actor_id, actor_name, via, address, action, target, before, after, reason, previous, '{n}' FROM registry_auditentry WHERE sequence = 1"
    columns = "(sequence, at, actor_kind, actor_id, actor_name, via, address, action, target, before, after, reason, previous, digest)"
    for n in (99, -1):
        execute(
            copy.format(n=n).replace("registry_auditentry SELECT", f"registry_auditentry {columns} SELECT")
        )
        assert "outside the chain" in audit.verify_chain().fault
        execute(f"DELETE FROM registry_auditentry WHERE sequence = {n}")
    assert audit.verify_chain().whole


def test_a_former_secret_key_is_believed_when_it_is_named(trail, settings):
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another key that is long enough to be one"
    assert "SLIPWAY_SECRET_KEY_FALLBACKS" in audit.verify_chain().fault
    settings.SECRET_KEY_FALLBACKS = [former]
    assert audit.verify_chain().whole


def test_a_walk_in_pieces_says_the_same_as_one_in_one_go(trail, api, monkeypatch):
    monkeypatch.setattr("registry.api.trail.PIECE", 2)

    def walk():
        answers, after = [], ""
        while not answers or answers[-1]["next"]:
            answers.append(api("admin").get("/api/v1/audit/verify", {"after": after}).json())
            after = answers[-1]["next"] or ""
        return answers

    answers = walk()
    assert [a["checked"] for a in answers] == [2, 4, 6] and answers[-1]["whole"] is True
    execute("DELETE FROM registry_auditentry WHERE sequence = 4")
    last = walk()[-1]
    assert last["whole"] is False and "entry 4 is missing" in last["fault"]
    assert api("admin").get("/api/v1/audit/verify", {"after": "forged"}).status_code == 400


def test_the_page_walks_in_pieces_with_its_progress(trail, web, monkeypatch):
    monkeypatch.setattr("registry.web.trail.CHUNK", 2)
    client = web("admin")
    page = client.get("/audit/?check=1").content.decode()
    for expected in ("2 of 5", "4 of 5", "chain is whole: 5 entries"):
        assert expected in page
        if "/audit/check" in page and expected != "chain is whole: 5 entries":
            rest = page.split('hx-get="/audit/check')[1].split('"')[0]
            page = client.get(f"/audit/check{rest}").content.decode()


def test_release_managers_check_the_chain_and_do_not_export_the_addresses(web, api, model):
    page = web("manager").get("/audit/?check=1").content.decode()
    assert "The chain is whole" in page and "Export JSON Lines" not in page
    assert api("manager").get("/api/v1/audit/verify").json()["whole"] is True
    assert api("manager").get("/api/v1/audit/export").status_code == 403
    assert "Check the chain" not in web("engineer").get("/audit/").content.decode()
