"""A change and its entry: one statement on PostgreSQL where nobody was faster, under locks otherwise.

Runs on SQLite, and once more on PostgreSQL by tests/servers/test_on_postgresql.py.
"""

import threading
from itertools import pairwise

import pytest
from django.db import connection, connections, transaction

from registry import audit, services
from registry.domain.actor import SYSTEM
from registry.domain.chain import Place
from registry.domain.draft import Point
from registry.errors import Conflict, NotFound
from registry.models import Alias, AuditEntry, LatestMetric, Metric, Model, Version
from registry.services.recording import Recorded

pytestmark = pytest.mark.django_db(transaction=True)
THREADS, ROUNDS = 8, 6


@pytest.fixture
def model():
    return services.create_model(name="churn", actor=SYSTEM)


@pytest.fixture
def versions(model):
    return [adopt(model) for _ in range(3)]


def adopt(model):
    return services.adopt_version(model=model, said=Recorded(source="s3://bucket/x"), actor=SYSTEM)


def alias(model, name, version):
    return services.set_alias(model=model, name=name, version=version, actor=SYSTEM, wide=True)


def statements_of(work):
    sent = []

    def note(execute, sql, params, many, context):
        sent.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        work()
    return sent


@pytest.mark.parametrize("seen", ["the end", "an older end", "nothing"])
def test_every_verb_writes_itself_and_one_entry_whatever_the_process_saw(model, versions, seen, monkeypatch):
    if seen != "the end":
        older = Place() if seen == "nothing" else Place(1, AuditEntry.objects.get(sequence=1).digest)
        monkeypatch.setattr(audit, "last_seen", lambda: older)
    before = AuditEntry.objects.count()
    services.create_model(name="other", actor=SYSTEM)
    services.tag_model(model=model, key="tier", value="1", actor=SYSTEM)
    services.tag_version(version=versions[0], key="stage", value="dev", actor=SYSTEM)
    alias(model, "live", versions[0])
    alias(model, "live", 2)
    services.add_metrics(version=versions[0], points=[Point("auc", 0.5)], actor=SYSTEM)
    made = adopt(model)
    assert AuditEntry.objects.count() == before + 7
    assert audit.verify_chain().whole
    assert Model.objects.get(name="churn").tags == {"tier": "1"}
    assert Version.objects.get(pk=versions[0].pk).tags == {"stage": "dev"}
    assert Alias.objects.get(name="live").version.number == 2
    assert Metric.objects.count() == 1 and LatestMetric.objects.get().value == 0.5
    assert (made.number, Version.objects.get(pk=made.pk).number) == (4, 4)
    moved = AuditEntry.objects.get(action="alias.set", sequence__gt=before + 4)
    assert (moved.before, moved.after) == ({"version": 1}, {"version": 2})


def test_what_was_read_before_and_changed_since_is_read_again(model, versions):
    """The rows at hand are old: the change is made on what is there now, and the entry says that."""
    old_model, old_version = Model.objects.get(pk=model.pk), Version.objects.get(pk=versions[0].pk)
    services.tag_model(model=model, key="a", value="1", actor=SYSTEM)
    services.tag_version(version=versions[0], key="a", value="1", actor=SYSTEM)
    assert services.tag_model(model=old_model, key="b", value="2", actor=SYSTEM).tags == {"a": "1", "b": "2"}
    services.tag_version(version=old_version, key="b", value="2", actor=SYSTEM)
    assert Version.objects.get(pk=old_version.pk).tags == {"a": "1", "b": "2"}
    assert [adopt(old_model).number, adopt(old_model).number, adopt(model).number] == [4, 5, 6]
    services.rename_model(model=model, name="renamed", actor=SYSTEM)
    services.tag_model(model=old_model, key="c", value="3", actor=SYSTEM)
    assert AuditEntry.objects.latest("sequence").target == "models/renamed"
    assert services.tag_model(model=old_model, key="a", value=None, actor=SYSTEM).tags == {"b": "2", "c": "3"}
    assert audit.verify_chain().whole


def test_what_was_deleted_meanwhile_is_not_changed(model, versions):
    services.delete_version(version=versions[0], actor=SYSTEM)
    written = AuditEntry.objects.count()
    with pytest.raises(NotFound):
        services.add_metrics(version=versions[0], points=[Point("auc", 0.5)], actor=SYSTEM)
    with pytest.raises(NotFound):
        services.tag_version(version=versions[0], key="a", value="1", actor=SYSTEM)
    with pytest.raises(NotFound):
        alias(model, "live", 1)
    with pytest.raises(Conflict):
        alias(model, "live", versions[0])
    services.delete_model(model=model, actor=SYSTEM)
    with pytest.raises(NotFound):
        adopt(model)
    with pytest.raises(NotFound):
        services.tag_model(model=model, key="a", value="1", actor=SYSTEM)
    assert AuditEntry.objects.count() == written + 1
    assert (Metric.objects.count(), Alias.objects.count()) == (0, 0)


def test_a_name_that_is_taken_leaves_no_entry(model):
    with pytest.raises(Conflict):
        services.create_model(name="churn", actor=SYSTEM)
    assert AuditEntry.objects.count() == 1 and audit.verify_chain().whole


def test_a_change_goes_with_the_transaction_around_it(model, versions):
    written = AuditEntry.objects.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        alias(model, "live", 1)
        adopt(model)
        raise ZeroDivisionError
    assert (Alias.objects.count(), AuditEntry.objects.count()) == (0, written)
    assert adopt(model).number == 4
    assert audit.verify_chain().whole


def test_on_postgresql_a_change_is_one_statement_outside_of_any_transaction(model, versions):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite writes a change and its entry one after the other")
    assert len(statements_of(lambda: services.create_model(name="other", actor=SYSTEM))) == 1
    assert len(statements_of(lambda: services.tag_model(model=model, key="a", value="1", actor=SYSTEM))) == 1
    assert len(statements_of(lambda: adopt(model))) == 1
    assert len(statements_of(lambda: alias(model, "live", 1))) == 2


def test_all_verbs_at_once_neither_fail_nor_wait_for_each_other_in_a_circle(model, versions):
    """Changes of one statement among changes that hold a row while they wait for the end of the chain."""
    start, problems = threading.Barrier(THREADS), []

    def work(number):
        own = Model.objects.get(pk=model.pk)
        version = versions[number % 2]
        points = [Point("auc", float(number)), Point("loss", 1.0)]
        for turn in range(ROUNDS):
            text = f"{number} {turn}"
            alias(own, f"a{number % 3}", 1 + (number + turn) % 3)
            services.add_metrics(version=version, points=points[: 1 + turn % 2], actor=SYSTEM)
            services.tag_version(version=version, key="who", value=text, actor=SYSTEM)
            services.annotate_version(version=version, notes=text, actor=SYSTEM)
            services.tag_model(model=own, key=f"k{number}", value=text, actor=SYSTEM)
            services.update_model(model=own, description=text, actor=SYSTEM)
            adopt(own)
            services.create_model(name=f"new-{number}-{turn}", actor=SYSTEM)

    def attempt(number):
        try:
            start.wait(30)
            work(number)
        except Exception as error:  # noqa: BLE001
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert problems == []
    assert audit.verify_chain().whole
    made = THREADS * ROUNDS
    numbers = list(model.versions.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, 3 + made + 1))
    assert set(Model.objects.get(pk=model.pk).tags) == {f"k{number}" for number in range(THREADS)}
    for name in ("a0", "a1", "a2"):
        moves = AuditEntry.objects.filter(target=f"models/churn/aliases/{name}").order_by("sequence")
        assert all(one.after == other.before for one, other in pairwise(moves))
