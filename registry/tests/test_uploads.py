"""Uploads in parts, and versions that are verified and inspected in the background."""

import hashlib
import os
from datetime import timedelta

import pytest
from django.utils import timezone

from registry import queries, services, tasks
from registry.adapters.s3 import S3Store
from registry.domain.actor import SYSTEM
from registry.domain.manifest import FileEntry, manifest_of
from registry.errors import Unavailable
from registry.models import AuditEntry, Intake, Upload, Version
from registry.services import intake, uploads
from registry.tests import model_files, onnx_files, s3

pytestmark = pytest.mark.django_db
URL = "/api/v1/models/churn"
LINEAR = onnx_files.linear().SerializeToString()


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(uploads, "PART", 100)


@pytest.fixture
def client(api, model):
    return api("engineer")


@pytest.fixture
def send(client):
    """`send(content)`: the id of a completed upload of it."""

    def upload(content, *, digest=None, complete=True, **body):
        said = digest_of(content) if digest is None else digest
        made = client.post(f"{URL}/uploads", {"size": len(content), "digest": said, **body}, format="json")
        assert made.status_code == 201, made.json()
        document = made.json()
        for number in range(1, document["parts"] + 1):
            put(client, document, number, content)
        if complete:
            done = client.post(f"{URL}/uploads/{document['id']}/complete", format="json")
            assert done.status_code == 200, done.json()
        return document["id"]

    return upload


def put(client, document, number, content):
    begin = (number - 1) * document["part_size"]
    answer = client.put(
        f"{URL}/uploads/{document['id']}/parts/{number}",
        content[begin : begin + document["part_size"]],
        content_type="application/octet-stream",
    )
    assert answer.status_code == 204, answer.json()


def work():
    while tasks.work_one():
        pass


def register(client, **body):
    return client.post(f"{URL}/versions", body, format="json")


def version(client, number=1):
    return client.get(f"{URL}/versions/{number}").json()


def test_an_uploaded_file_becomes_a_version_that_is_ready_after_its_inspection(client, send, store):
    made = register(client, upload=send(LINEAR, filename="m.onnx"), metadata={"metrics": {"auc": 0.9}})
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["progress"]["percent"]) == ("pending", 0)
    assert list(store.digests()) == [], "nothing is stored under its digest before it is verified"
    work()
    found = version(client)
    assert (found["state"], found["format"], found["progress"]) == ("ready", "onnx", None)
    assert (found["digest"], found["filename"], found["metrics"]) == (
        digest_of(LINEAR),
        "m.onnx",
        {"auc": 0.9},
    )
    assert not Upload.objects.exists() and not Intake.objects.exists()
    assert [entry.action for entry in AuditEntry.objects.all()[:2]] == ["version.ready", "version.register"]
    assert list((store.folder / "incoming").iterdir()) == []


def test_a_reference_set_is_uploaded_kept_and_run(client, send, reference_path, store):
    rows = reference_path.read_bytes()
    assert register(client, upload=send(LINEAR), reference=send(rows)).status_code == 201
    work()
    found = version(client)
    assert found["profile"]["rows"] == 100 and found["reference_digest"] == digest_of(rows)
    assert set(store.digests()) == {digest_of(rows), digest_of(LINEAR)}


def test_a_folder_is_uploaded_file_by_file(client, send, tmp_path):
    onnx_files.save_apart(onnx_files.linear(), tmp_path / "m.onnx", "w.bin")
    files = [{"path": n, "upload": send((tmp_path / n).read_bytes())} for n in ("m.onnx", "w.bin")]
    assert register(client, files=files).json()["file_count"] == 2
    work()
    found = version(client)
    assert (found["state"], found["inspection"]["parameters"]) == ("ready", 3)


def test_a_folder_may_hold_an_empty_file(client, send, store):
    named = [{"path": "model.safetensors", "upload": send(model_files.safetensors())}]
    named += [{"path": "extra/empty.txt", "upload": send(b"")}]
    assert register(client, files=named).status_code == 201
    work()
    found = version(client)
    assert (found["state"], found["file_count"]) == ("ready", 2), found["problem"]
    answer = client.get(f"{URL}/versions/1/files/extra/empty.txt")
    assert b"".join(answer.streaming_content) == b""
    rest = client.get(f"{URL}/versions/1/files/extra/empty.txt", headers={"Range": "bytes=5-"})
    assert rest.status_code == 416, "there is nothing from there"


def test_a_folder_whose_sender_knew_no_digest_gets_those_that_were_found(client, send, tmp_path):
    onnx_files.save_apart(onnx_files.linear(), tmp_path / "m.onnx", "w.bin")
    contents = {name: (tmp_path / name).read_bytes() for name in ("m.onnx", "w.bin")}
    named = [{"path": name, "upload": send(content, digest="")} for name, content in contents.items()]
    made = register(client, files=named).json()
    assert (made["state"], made["digest"], made["file_count"]) == ("pending", "", 2)
    work()
    found = version(client)
    files = client.get(f"{URL}/versions/1/files").json()["items"]
    assert found["state"] == "ready", found["problem"]
    assert {f["path"]: f["digest"] for f in files} == {n: digest_of(c) for n, c in contents.items()}
    assert found["digest"] == manifest_of(FileEntry(**file) for file in files).digest


def test_an_upload_is_resumed_where_it_broke_off(client, send):
    content = os.urandom(950)
    made = client.post(f"{URL}/uploads", {"size": 950, "digest": digest_of(content)}, format="json").json()
    assert (made["parts"], made["received"]) == (10, [])
    for number in (7, 2, 10):
        put(client, made, number, content)
    address = f"{URL}/uploads/{made['id']}"
    assert client.get(address).json()["received"] == [2, 7, 10]
    early = client.post(f"{address}/complete", format="json")
    assert (
        early.status_code == 409
        and "7 of 10 parts are missing, the first is part 1" in early.json()["detail"]
    )
    for number in (1, 3, 4, 5, 6, 8, 9, 2):
        put(client, made, number, content)
    assert client.post(f"{address}/complete", format="json").json()["complete"] is True
    assert client.post(f"{address}/complete", format="json").status_code == 200, "twice is no error"
    late = client.put(f"{address}/parts/1", content[:100], content_type="application/octet-stream")
    assert late.status_code == 409


def test_an_upload_that_the_store_put_together_before_anybody_noted_it_is_complete(
    client, send, model, monkeypatch
):
    with s3.serving() as (_, bucket):
        store = S3Store(s3.BUCKET, prefix="", client=bucket)
        monkeypatch.setattr("registry.wiring.artifact_store", lambda: store)
        key = send(LINEAR, complete=False)
        store.finish(Upload.objects.get().ref)
        assert client.get(f"{URL}/uploads/{key}").json()["complete"] is True
        assert client.post(f"{URL}/uploads/{key}/complete", format="json").status_code == 200
        assert register(client, upload=key).status_code == 201
        work()
        assert version(client)["state"] == "ready"


def test_content_with_another_digest_than_was_said_is_refused_and_nothing_is_left(client, send, store):
    register(client, upload=send(LINEAR, digest="sha256:" + "0" * 64))
    work()
    found = version(client)
    assert found["state"] == "refused" and "was said to be sha256:000" in found["problem"]["message"]
    assert list(store.digests()) == [] and not Upload.objects.exists()
    assert list((store.folder / "incoming").iterdir()) == []
    assert AuditEntry.objects.first().action == "version.refuse"


def test_a_file_that_is_no_model_is_refused_with_the_reason_and_not_kept(client, send, store):
    register(client, upload=send(b"<html>please sign in</html>"))
    work()
    found = version(client)
    assert found["state"] == "refused" and "is a text file" in found["problem"]["message"]
    assert list(store.digests()) == []
    assert client.get(f"{URL}/versions/1/artifact").status_code == 409


def test_refusing_one_version_keeps_what_another_one_needs(client, send, version, store, reference_path):
    rows = reference_path.read_bytes()
    register(client, upload=send(b"not a model"), reference=send(rows))
    work()
    assert Version.objects.get(number=2).state == "refused"
    assert set(store.digests()) == {version.digest, digest_of(rows)}


def test_a_sender_that_cannot_know_the_digest_takes_the_servers(client, send, reference_path):
    rows = reference_path.read_bytes()
    made = register(client, reference=send(rows, digest=""), upload=send(LINEAR, digest=""))
    assert made.json()["digest"] == ""
    work()
    found = version(client)
    assert (found["digest"], found["reference_digest"]) == (digest_of(LINEAR), digest_of(rows))


def test_a_version_that_is_not_ready_is_not_released_named_or_downloaded(client, send, api):
    register(client, upload=send(LINEAR))
    assert client.put(f"{URL}/aliases/canary", {"version": 1}, format="json").status_code == 409
    assert client.get(f"{URL}/versions/1/artifact").status_code == 409
    assert Version.objects.get().unready == "is pending, not ready"


def test_a_signature_is_taken_from_who_registers_only_where_the_file_tells_none(client, send):
    tensor = {"name": "INPUT__0", "dtype": "float32", "shape": [None, 3]}
    said = {"inputs": [tensor], "outputs": [{**tensor, "name": "OUTPUT__0"}]}
    script = model_files.torch_archive({"m/data.pkl": b"\x80\x02.", "m/code/a.py": b"pass"})
    for content in (script, LINEAR):
        assert register(client, upload=send(content), metadata={"signature": said}).status_code == 201
        work()
    assert (version(client)["format"], version(client)["signature"]) == ("torchscript", said)
    assert version(client, 2)["signature"]["inputs"][0]["name"] != "INPUT__0"


def test_a_multipart_request_may_ask_not_to_wait(client, onnx_path):
    with onnx_path.open("rb") as file:
        made = client.post(f"{URL}/versions", {"artifact": file, "wait": "false"}, format="multipart")
    assert (made.status_code, made.json()["state"]) == (201, "pending")
    work()
    assert version(client)["state"] == "ready"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "size"), ({"size": -1}, "size"), ({"size": "9"}, "size"), ({"size": True}, "size"),
        ({"size": 9, "digest": "md5:1"}, "digest"), ({"size": 9, "filename": 7}, "filename"),
        ({"size": 9, "more": 1}, "more"),
    ],
)  # fmt: skip
def test_a_bad_upload_is_refused_by_its_field(client, body, field):
    answer = client.post(f"{URL}/uploads", body, format="json")
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_an_upload_over_the_limit_is_refused_before_a_byte_is_sent(client):
    assert client.post(f"{URL}/uploads", {"size": 6 << 30}, format="json").status_code == 413


def test_a_part_of_another_size_or_number_is_refused(client, send):
    made = client.post(f"{URL}/uploads", {"size": 150}, format="json").json()
    parts = f"{URL}/uploads/{made['id']}/parts"
    for number, content, status in ((1, b"x", 400), (2, b"x" * 100, 400), (3, b"x", 404), (0, b"x", 404)):
        answer = client.put(f"{parts}/{number}", content, content_type="application/octet-stream")
        assert answer.status_code == status
    told = client.get(f"{parts}/2").json()
    assert (told["direct"], told["offset"], told["size"]) == (False, 100, 50)
    assert told["url"].endswith(f"{parts}/2")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"upload": "x"},
        {"files": []},
        {"files": {}},
        {"files": [{"path": "a"}]},
        {"upload": "x", "files": []},
    ],
)
def test_a_version_of_nothing_is_refused(client, body):
    assert register(client, **body).status_code in {400, 404}
    assert not Version.objects.exists()


def test_an_upload_makes_one_version_and_only_when_complete(client, send):
    half = send(LINEAR, complete=False)
    assert register(client, upload=half).status_code == 409
    assert not Version.objects.exists() and queries.model_by_name("churn").last_number == 0
    whole = send(LINEAR)
    assert register(client, upload=whole).status_code == 201
    assert register(client, upload=whole).status_code == 409
    assert client.delete(f"{URL}/uploads/{whole}").status_code == 409, "a version is made of it"


def test_an_aborted_upload_leaves_nothing(client, send, store):
    key = send(LINEAR, complete=False)
    assert client.delete(f"{URL}/uploads/{key}").status_code == 204
    assert client.get(f"{URL}/uploads/{key}").status_code == 404
    assert list((store.folder / "incoming").iterdir()) == []


def test_another_models_upload_is_not_found(client, send):
    services.create_model(name="other", actor=SYSTEM)
    key = send(LINEAR)
    assert client.get(f"/api/v1/models/other/uploads/{key}").status_code == 404


def test_an_abandoned_upload_is_swept_and_one_that_a_version_waits_for_is_not(client, send, store):
    abandoned, waiting = send(LINEAR, complete=False), send(LINEAR)
    register(client, upload=waiting)
    Upload.objects.update(touched_at=timezone.now() - timedelta(days=2))
    assert uploads.sweep_uploads(store, timedelta(days=1)) == 1
    assert not Upload.objects.filter(pk=abandoned).exists()
    uploads.sweep_uploads(store, timedelta(seconds=-5))
    work()
    assert version(client)["state"] == "ready"


class Crash(BaseException):
    """The worker is gone, between any two statements."""


@pytest.mark.parametrize("where", ["store.keep", "after keep", "inspect", "conclude"])
def test_a_worker_that_dies_anywhere_is_followed_by_one_that_goes_on(client, send, store, monkeypatch, where):
    register(client, upload=send(LINEAR))

    def die(*args, **kwargs):
        raise Crash

    with monkeypatch.context() as patch:
        if where == "store.keep":
            patch.setattr("registry.adapters.filesystem.FilesystemStore.keep", die)
        elif where == "after keep":
            real = type(store).keep
            patch.setattr(type(store), "keep", lambda *args: (real(*args), die()))
        elif where == "inspect":
            patch.setattr(intake, "inspect_file", die)
        else:
            patch.setattr(intake, "_conclude", die)
        with pytest.raises(Crash):
            tasks.work_one()
    assert Version.objects.get().state in {"verifying", "inspecting"}
    assert not tasks.work_one(), "the lease of the dead worker still holds"
    Intake.objects.update(leased_until=timezone.now())
    work()
    assert Version.objects.get().state == "ready"


def test_a_worker_that_was_believed_dead_changes_nothing(client, send, monkeypatch):
    register(client, upload=send(LINEAR))
    (slow,) = intake.claim(1)
    Intake.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    (quick,) = intake.claim(1)
    intake.work(slow, tasks.wiring.artifact_store())
    assert Version.objects.get().state == "verifying"
    intake.work(quick, tasks.wiring.artifact_store())
    assert Version.objects.get().state == "ready"


def test_an_inspection_that_dies_again_and_again_is_refused(client, send, monkeypatch):
    register(client, upload=send(LINEAR))
    monkeypatch.setattr(intake, "inspect_file", lambda *a, **k: (_ for _ in ()).throw(Crash))
    for _ in range(Intake.ATTEMPTS):
        with pytest.raises(Crash):
            tasks.work_one()
        Intake.objects.update(leased_until=timezone.now())
    work()
    assert "died 3 times" in version(client)["problem"]["message"]


def test_a_store_that_is_away_costs_time_not_the_version(client, send, monkeypatch):
    register(client, upload=send(LINEAR))

    def away(*args):
        raise Unavailable("the bucket does not answer")

    with monkeypatch.context() as patch:
        patch.setattr("registry.adapters.filesystem.FilesystemStore.open_upload", away)
        work()
    assert Version.objects.get().state == "verifying"
    Intake.objects.update(leased_until=timezone.now())
    work()
    assert Version.objects.get().state == "ready"


def test_a_version_deleted_while_it_waits_leaves_nothing(client, send, store):
    register(client, upload=send(LINEAR))
    services.delete_version(version=Version.objects.get(), actor=SYSTEM)
    work()
    assert list(store.digests()) == [] and not Upload.objects.exists() and not Intake.objects.exists()


def test_the_command_does_what_is_due_and_stops(client, send):
    from django.core.management import call_command

    register(client, upload=send(LINEAR))
    call_command("intake", "--once")
    assert version(client)["state"] == "ready"


def test_a_settled_version_is_not_settled_again(version):
    assert version.settle(state="refused") is False
    assert Version.objects.get().state == "ready"


def test_a_message_of_the_queue_is_obeyed_once_and_a_stale_one_never(client, send, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.take_in, "delay", lambda *message: sent.append(message))
    register(client, upload=send(LINEAR))
    assert (tasks.dispatch(), tasks.dispatch()) == (1, 0), "what is sent is not sent again at once"
    (message,) = sent
    tasks.take_in(message[0], (timezone.now() - timedelta(hours=1)).isoformat())
    assert Version.objects.get().state == "pending"
    tasks.take_in(*message)
    assert Version.objects.get().state == "ready"
    tasks.take_in(*message)
