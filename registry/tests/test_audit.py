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
