"""Scoring jobs: started, taken in turns, cancelled, resumed, handed out; killed workers and silent queues."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
import yaml
from celery.exceptions import SoftTimeLimitExceeded
from django.core.management import CommandError, call_command
from django.utils import timezone
from kombu.exceptions import OperationalError

from monitoring import tasks, wiring
from monitoring.models import Notice, NoticeTarget, ScoringJob
from monitoring.scoring import engine, jobs, turns
from monitoring.tests.scoring.conftest import rows, write
from registry.domain.actor import SYSTEM
from registry.errors import Conflict, Invalid, Unavailable
from registry.models import AuditEntry
from registry.services import set_alias
from rollouts import scorer
from rollouts.tasks import duties

pytestmark = pytest.mark.django_db


@pytest.fixture
def tables(tmp_path, settings):
    """The one place where tables may lie, with 1,000 rows in `in`."""
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "artifacts"
    settings.SLIPWAY_TABLES = [str(tmp_path / "tables")]
    (tmp_path / "tables").mkdir()
    write(tmp_path / "tables" / "in", "csv", rows(1_000))
    return tmp_path / "tables"


@pytest.fixture
def job(version, tables):
    return start(version)


def start(version, source="in", target="out", chunk_rows=100):
    return jobs.start(version=version, source=source, target=target, chunk_rows=chunk_rows, actor=SYSTEM)


def again(job):
    return ScoringJob.objects.select_related("version__model").get(pk=job.pk)


def turn(store, parts=None):
    """A claimed turn that ends after so many parts; the job as it is then."""
    (claimed,) = turns.claim()
    made = []
    turns.work(claimed, store, lambda: made.append(1) or (parts is not None and len(made) >= parts))
    return again(claimed)


def test_a_job_goes_from_queued_over_running_to_its_result(job, store, tables):
    assert (job.state, again(job).percent) == ("queued", 0)
    half = turn(store, parts=4)
    assert half.state == "running" and 0 < half.share < 1 and half.rows
    done = turn(store)
    assert (done.state, done.rows, done.parts, done.share) == ("succeeded", 1_000, 10, 1.0)
    content = (tables / "out" / "_result.json").read_bytes()
    assert done.result_digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert done.result["state"] == "stable" and done.result["outputs"][0]["n"] == 1_000
    assert "parts" not in done.result and not turns.claim()


def test_what_was_done_to_a_job_is_in_the_audit_trail(job):
    jobs.cancel(job, actor=SYSTEM, reason="wrong folder")
    jobs.resume(job, actor=SYSTEM)
    entries = AuditEntry.objects.filter(target__endswith=f"/scorings/{job.pk}").order_by("sequence")
    assert [entry.action for entry in entries] == ["scoring.start", "scoring.cancel", "scoring.resume"]
    assert entries[1].reason == "wrong folder" and entries[1].before == {"state": "queued"}


def test_a_cancelled_job_stops_and_a_resumed_one_ends_as_one_that_was_never_touched(
    job, version, store, tables, monkeypatch
):
    monkeypatch.setattr(turns, "TELL_SECONDS", -1)
    (claimed,) = turns.claim()
    seen = []

    def stop():
        seen.append(1)
        if len(seen) == 3:
            jobs.cancel(job, actor=SYSTEM)
        return False

    turns.work(claimed, store, stop)
    assert again(job).state == "cancelled"
    made = sorted(path.name for path in (tables / "out").glob("part-*"))
    assert 3 <= len(made) < 10 and not turns.claim()
    jobs.resume(job, actor=SYSTEM)
    turn(store)
    start(version, target="whole")
    turn(store)
    for path in (tables / "whole").iterdir():
        assert (tables / "out" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_worker_that_dies_loses_its_lease_and_the_next_one_goes_on(job, store):
    (first,) = turns.claim()
    assert not turns.claim(), "it is leased"
    ScoringJob.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    (second,) = turns.claim()
    turns.work(first, store)
    assert again(job).state == "queued", "who lost the lease writes nothing"
    turns.work(second, store)
    assert again(job).state == "succeeded"


def test_a_lease_of_a_clock_that_was_ahead_does_not_last(job):
    ScoringJob.objects.update(leased_until=timezone.now() + timedelta(days=2))
    assert turns.claim() == [job]


def test_no_more_jobs_run_at_once_than_the_settings_say(version, tables, settings):
    for number in range(3):
        start(version, target=f"out-{number}")
    settings.SLIPWAY_SCORING_AT_ONCE = 2
    assert [len(turns.claim()), len(turns.claim())] == [2, 0]


def test_input_that_does_not_fit_fails_the_job_with_the_reason_and_can_be_mended(job, store, tables):
    good = (tables / "in" / "rows.csv").read_text()
    (tables / "in" / "rows.csv").write_text("X_0,X_1\n1,2\n")
    failed = turn(store)
    assert failed.state == "failed" and "lacks the columns X_2" in failed.error
    (tables / "in" / "rows.csv").write_text(good)
    with pytest.raises(Conflict):
        jobs.cancel(job, actor=SYSTEM)
    jobs.resume(job, actor=SYSTEM)
    again_failed = turn(store)
    assert "were changed since" in again_failed.error, "another file is another run"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(Unavailable("the bucket did not answer"), "bucket"), (SoftTimeLimitExceeded(), "fewer rows")],
    ids=["bucket", "time limit"],
)
def test_what_may_pass_is_tried_again_until_it_does_not(job, store, monkeypatch, trouble, said):
    def refuse(*_):
        raise trouble

    monkeypatch.setattr(engine, "score", refuse)
    for attempt in range(turns.ATTEMPTS):
        assert again(job).state in {"queued", "running"}, attempt
        ScoringJob.objects.update(leased_until=timezone.now())
        turn(store)
    assert again(job).state == "failed" and said in again(job).error


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"source": "/etc"}, "source", "may not be kept there"),
        ({"target": "../elsewhere"}, "target", "dots"),
        ({"source": "nothing"}, "source", "holds no CSV"),
        ({"target": "in"}, "target", "another folder"),
        ({"chunk_rows": 0}, "chunk_rows", "1 to"),
    ],
)
def test_a_job_that_could_never_run_is_refused_at_once(version, tables, changes, field, said):
    with pytest.raises(Invalid, match=said) as refused:
        start(version, **changes)
    assert refused.value.field == field and not ScoringJob.objects.exists()


def test_people_who_want_to_hear_it_are_told_how_a_job_ended(job, store, tables):
    NoticeTarget.objects.create(name="chat", url="json://chat.example.org", service="chat", kinds=["scoring"])
    turn(store)
    (tables / "in" / "rows.csv").write_text("X_0\n1\n")
    start(job.version, target="other")
    turn(store)
    told = list(Notice.objects.order_by("id").values_list("kind", "severity", "path"))
    assert told[0] == ("scoring.succeeded", "info", f"/scorings/{job.pk}/")
    assert told[1][:2] == ("scoring.failed", "warning")


def test_a_job_whose_worker_always_dies_or_that_meets_a_mistake_of_ours_does_not_go_on_for_ever(
    job, store, monkeypatch
):
    ScoringJob.objects.update(attempts=turns.ATTEMPTS)
    assert "died 5 times without a part" in turn(store).error
    jobs.resume(job, actor=SYSTEM)

    def broken(*_):
        raise KeyError("a mistake")

    monkeypatch.setattr(engine, "score", broken)
    again_later = turn(store)
    assert again_later.is_open and "made a mistake" in again_later.error and not turns.claim()


def test_two_who_start_a_job_for_one_folder_at_the_same_moment_are_told_apart(job, version, monkeypatch):
    monkeypatch.setattr(jobs, "_room", lambda *_: None)
    with pytest.raises(Conflict, match="Another job writes there"):
        start(version)
    assert ScoringJob.objects.count() == 1


def test_two_jobs_do_not_write_into_one_folder(job, version):
    with pytest.raises(Conflict, match=f"job {job.pk} writes there"):
        start(version)


def test_without_a_queue_tick_takes_the_jobs(job):
    scorer.once()
    assert again(job).state == "succeeded"


def test_with_a_queue_a_message_is_one_turn_and_a_lost_one_is_sent_again(job, settings, monkeypatch):
    settings.CELERY_BROKER_URL = "redis://somewhere"
    sent = []
    monkeypatch.setattr(tasks.score_job, "apply_async", lambda arguments, retry: sent.append(arguments))
    scorer.once()
    assert again(job).state == "queued", "that is the workers' now"
    duty = duties()["scoring"].work
    duty(0.0)
    duty(0.0)
    assert len(sent) == 1
    ScoringJob.objects.update(leased_until=timezone.now())
    duty(0.0)
    tasks.score_job(*sent[0])
    assert again(job).state == "queued", "a message whose lease is over does nothing"
    monkeypatch.setattr(tasks, "TURN", -1)
    tasks.score_job(*sent[1])
    assert (again(job).state, again(job).attempts) == ("running", 0)
    while again(job).is_open:
        duty(0.0)
        tasks.score_job(*sent[-1])
    assert again(job).rows == 1_000 and len(sent) >= 10


def test_a_queue_that_does_not_answer_loses_no_job(job, settings, monkeypatch):
    settings.CELERY_BROKER_URL = "redis://somewhere"

    def refuse(*_, **__):
        raise OperationalError("refused")

    monkeypatch.setattr(tasks.score_job, "apply_async", refuse)
    tasks.hand_out_scoring()
    assert turns.claim() == [job]


@pytest.fixture
def cluster(tmp_path, settings, monkeypatch):
    """An API server that keeps the Jobs it is sent, and the settings that lead to it."""
    from tests.production.helm_api import ApiServer

    manifest = tmp_path / "job.yaml"
    pod = {"containers": [{"name": "score", "image": "slipway:1"}], "restartPolicy": "Never"}
    document = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "slipway-score", "namespace": "ml"},
    }
    manifest.write_text(yaml.safe_dump({**document, "spec": {"template": {"spec": pod}}}))
    settings.SLIPWAY_SCORING_JOB_FILE = str(manifest)
    with ApiServer() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path)))
        from kubernetes.config import kube_config

        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
        yield server
    wiring._job_runner.cache_clear()


def test_with_kubernetes_a_job_is_a_job_there_whose_pod_does_it(job, cluster, capsys):
    tasks.hand_out_scoring()
    (made,) = cluster.created
    assert made["metadata"]["generateName"] == f"slipway-score-{job.pk}-"
    arguments = made["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[:3] == ["score", "--job", str(job.pk)]
    scorer.once()
    assert again(job).state == "queued", "that is the pod's now"
    call_command(*arguments)
    assert again(job).state == "succeeded" and "1,000 rows" in capsys.readouterr().out
    call_command(*arguments)
    assert "another process has it" in capsys.readouterr().out


def test_a_cluster_that_does_not_answer_loses_no_job(job, cluster):
    cluster._http.shutdown()
    cluster._http.server_close()
    tasks.hand_out_scoring()
    assert turns.claim() == [job]
    cluster.__enter__()


def test_the_command_scores_here_and_shows_progress_and_the_result(version, tables, capsys):
    set_alias(model=version.model, name="champion", version=version, actor=SYSTEM)
    call_command("score", "adder", "champion", str(tables / "in"), str(tables / "out"), chunk_rows=500)
    said = capsys.readouterr()
    assert "file 1 of 1: 1,000 rows" in said.err and json.loads(said.out)["rows"] == 1_000
    for wrong, why in (("9", "version 9"), ("nightly", "no version or alias nightly")):
        with pytest.raises(CommandError, match=why):
            call_command("score", "adder", wrong, "a", "b")
    with pytest.raises(CommandError, match="or --job"):
        call_command("score", "adder")


def test_the_command_queues_a_job_for_today_and_works_on_one_by_hand(version, tables, capsys):
    call_command("score", "adder", str(version.number), "in", "nightly/{date}", queue=True)
    job = ScoringJob.objects.get()
    assert job.target.endswith(timezone.now().strftime("nightly/%Y-%m-%d"))
    call_command("score", job=job.pk)
    assert again(job).state == "succeeded"
    with pytest.raises(CommandError, match="is succeeded"):
        call_command("score", job=job.pk)
