"""The REST door, end to end through HTTP."""

import base64
import hashlib
import json
import re

import jsonschema
import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from registry import queries, services
from registry.api import urls as registry_urls
from registry.domain.actor import SYSTEM
from registry.domain.draft import Point, VersionDraft
from registry.models import AuditEntry, Version
from registry.tests import onnx_files

LINEAR = onnx_files.linear().SerializeToString()
ROWS = onnx_files.reference(X=np.random.default_rng(3).normal(size=(50, 3)))


def upload(client, content=LINEAR, metadata=None, reference=None, name="churn", **extra):
    body = {"artifact": SimpleUploadedFile("model.onnx", content), **extra}
    if metadata is not None:
        body["metadata"] = metadata if isinstance(metadata, str) else json.dumps(metadata)
    if reference is not None:
        body["reference"] = SimpleUploadedFile("ref.npz", reference)
    return client.post(f"/api/v1/models/{name}/versions", body, format="multipart")


def problem(response, status, told, field=None):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    assert told in body["detail"], body
    assert body.get("field") == field
    return body


def test_a_model_is_created_read_changed_listed_and_deleted(api):
    engineer, admin = api("engineer"), api("admin")
    made = engineer.post(
        "/api/v1/models", {"name": "churn", "owner_team": "growth", "tags": {"tier": 1}}, format="json"
    )
    assert made.status_code == 201
    assert made.json()["tags"] == {"tier": "1"} and made.json()["versions"] == 0
    changed = engineer.patch("/api/v1/models/churn", {"description": "who leaves"}, format="json")
    assert changed.json()["description"] == "who leaves" and changed.json()["owner_team"] == "growth"
    assert engineer.get("/api/v1/models/churn").json() == changed.json()
    assert [m["name"] for m in engineer.get("/api/v1/models?search=GROW").json()["items"]] == ["churn"]
    assert admin.delete("/api/v1/models/churn?reason=unused").status_code == 204
    assert engineer.get("/api/v1/models/churn").status_code == 404
    last = AuditEntry.objects.first()
    assert (last.action, last.reason, last.actor_kind) == ("model.delete", "unused", "token")
    assert last.via.startswith("slw_") and last.address == "127.0.0.1"


@pytest.mark.parametrize(
    ("body", "told", "field"),
    [
        ({}, "missing", "name"),
        ({"name": "a/b"}, "cannot name a model", "name"),
        ({"name": "ok", "colour": 1}, "not known", "colour"),
        ({"name": "ok", "tags": []}, "must be a JSON object", "tags"),
        ({"name": "ok", "owner_team": 5}, "must be text", "owner_team"),
        ([], "must be a JSON object", None),
    ],
)
def test_a_bad_model_is_a_problem_that_names_the_field(api, body, told, field):
    problem(api("engineer").post("/api/v1/models", body, format="json"), 400, told, field)


def test_a_name_that_is_taken_is_a_conflict(api, model):
    problem(
        api("engineer").post("/api/v1/models", {"name": "churn"}, format="json"),
        409,
        "exists already",
        "name",
    )


def test_a_version_is_registered_with_its_reference_set(api, model, store):
    metadata = {
        "label": "1.0.0",
        "metrics": {"rmse": 53.1},
        "feature_names": ["age", "bmi", "bp"],
        "hyperparameters": {"depth": 3},
        "git_sha": "abcdef1",
    }
    made = upload(api("engineer"), metadata=metadata, reference=ROWS)
    assert made.status_code == 201, made.content
    document = made.json()
    assert (document["model"], document["number"], document["label"]) == ("churn", 1, "1.0.0")
    assert document["metrics"] == {"rmse": 53.1}
    assert document["profile"]["inputs"][0]["name"] == "age"
    assert document["created_by"] == "engineer"
    assert store.exists(document["digest"])
    assert api("viewer").get("/api/v1/models/churn/versions/1").json() == document


@pytest.mark.parametrize(
    ("body", "status", "told", "field"),
    [
        (b'{"name": "churn", "tags": {"\\ud800": "x"}}', 400, "surrogate", "tags"),
        (b'{"name": "churn", "description": "\\ud800"}', 400, "surrogate", "description"),
        (b"[" * 100_000, 400, "nested", None),
        (b'{"name": ' + b"[" * 200 + b"]" * 200 + b"}", 400, "levels deep", None),
        (b'{"description": "' + b"x" * (6 << 20) + b'"}', 413, "5 MiB", None),
    ],
)
def test_a_body_that_no_reader_could_be_told_again_stores_nothing(api, body, status, told, field):
    client = api("engineer")
    problem(client.post("/api/v1/models", body, content_type="application/json"), status, told, field)
    assert client.get("/api/v1/models").json()["items"] == []


@pytest.mark.parametrize(
    ("changes", "status", "told", "field"),
    [
        ({"content": b""}, 400, "empty", "artifact"),
        ({"content": LINEAR[:40]}, 400, "truncated", "artifact"),
        ({"content": b"\x80\x04x."}, 400, "pickle", "artifact"),
        ({"metadata": "{"}, 400, "not valid JSON", "metadata"),
        ({"metadata": '{"metrics": {"a": NaN}}'}, 400, "NaN", "metadata"),
        ({"metadata": {"hyperparameters": {"seed": 2**70}}}, 400, "64 bits", "metadata.hyperparameters.seed"),
        ({"metadata": {"tags": {"a": "\ud800"}}}, 400, "surrogate", "metadata.tags.a"),
        ({"metadata": "[" * 300 + "]" * 300}, 400, "levels deep", "metadata"),
        ({"metadata": {"labl": "1.0.0"}}, 400, "not known", "labl"),
        ({"metadata": {"parent": 4}}, 400, "no version 4", "parent"),
        ({"metadata": {"feature_names": ["a"]}}, 400, "1 feature names", "feature_names"),
        ({"reference": b"junk"}, 400, "cannot be read", "reference"),
        ({"name": "nobody"}, 404, "no model named", None),
    ],
)
def test_a_bad_upload_is_a_problem_and_stores_nothing(api, model, store, changes, status, told, field):
    problem(upload(api("engineer"), **changes), status, told, field)
    assert not Version.objects.exists() and not list(store.digests())


def test_an_upload_without_a_file_says_which_field_is_missing(api, model):
    client = api("engineer")
    problem(client.post("/api/v1/models/churn/versions", {}, format="multipart"), 400, "missing", "artifact")
    body = {"artifact": "just text"}
    problem(
        client.post("/api/v1/models/churn/versions", body, format="multipart"),
        400,
        "must be a file",
        "artifact",
    )


def test_an_upload_over_the_limit_is_cut_off(api, model, store, settings):
    settings.SLIPWAY_MAX_ARTIFACT_MB = 1
    client = api("engineer")
    problem(upload(client, content=b"\0" * (3 << 20)), 413, "more than 1 MiB", "artifact")
    problem(upload(client, content=b"\0" * ((1 << 20) + 9)), 413, "more than 1 MiB", "artifact")
    assert not list(store.digests())


def test_versions_are_listed_newest_first_by_key(api, model, store, onnx_path):
    for _ in range(3):
        services.register_version(model=model, artifact=onnx_path, store=store, actor=SYSTEM)
    client = api("viewer")
    first = client.get("/api/v1/models/churn/versions?limit=2").json()
    assert [item["number"] for item in first["items"]] == [3, 2]
    assert "profile" not in first["items"][0]
    second = client.get(f"/api/v1/models/churn/versions?limit=2&after={first['next']}").json()
    assert [item["number"] for item in second["items"]] == [1] and second["next"] is None
    problem(client.get("/api/v1/models/churn/versions?after=x"), 400, "not a whole number", "after")


@pytest.mark.parametrize("number", [0, 2, 2**31, 2**63, 10**30])
def test_a_version_that_does_not_exist_is_not_found(api, version, number):
    problem(api("viewer").get(f"/api/v1/models/churn/versions/{number}"), 404, "has no version")


def test_the_artifact_comes_back_byte_by_byte_and_is_not_sent_twice(api, version, onnx_path):
    client = api("viewer")
    answer = client.get("/api/v1/models/churn/versions/1/artifact")
    assert b"".join(answer.streaming_content) == onnx_path.read_bytes()
    assert answer["X-Slipway-Digest"] == version.digest
    assert answer["Content-Length"] == str(version.size)
    assert answer["Content-Disposition"] == 'attachment; filename="churn-1.onnx"'
    again = client.get("/api/v1/models/churn/versions/1/artifact", headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304 and not again.content


@pytest.mark.parametrize(
    ("headers", "status", "start"),
    [
        ({"Range": "bytes=100-"}, 206, 100),
        ({"Range": "bytes=100-", "If-Range": "{etag}"}, 206, 100),
        ({"Range": "bytes=100-", "If-Range": '"sha256:another"'}, 200, 0),
        ({"Range": "bytes=0-"}, 200, 0),
        ({"Range": "bytes=-5"}, 200, 0),
        ({"Range": "bytes=1-2,5-6"}, 200, 0),
        ({"Range": "bytes=nonsense"}, 200, 0),
    ],
)
def test_a_download_goes_on_where_it_was_cut_off(api, version, onnx_path, headers, status, start):
    etag = f'"{version.digest}"'
    headers = {name: value.replace("{etag}", etag) for name, value in headers.items()}
    answer = api("viewer").get("/api/v1/models/churn/versions/1/artifact", headers=headers)
    content = onnx_path.read_bytes()
    assert answer.status_code == status
    assert b"".join(answer.streaming_content) == content[start:]
    assert answer["Content-Length"] == str(len(content) - start)
    plain = hashlib.sha256(content).digest()
    assert answer["Repr-Digest"] == f"sha-256=:{base64.b64encode(plain).decode()}:", "of the whole"
    if status == 206:
        assert answer["Content-Range"] == f"bytes {start}-{len(content) - 1}/{len(content)}"


def test_a_download_from_behind_the_end_is_refused(api, version):
    headers = {"Range": f"bytes={version.size}-"}
    answer = api("viewer").get("/api/v1/models/churn/versions/1/artifact", headers=headers)
    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{version.size}")


def test_an_artifact_missing_from_the_store_is_not_found(api, version, store):
    store.delete(version.digest)
    problem(api("viewer").get("/api/v1/models/churn/versions/1/artifact"), 404, "No artifact")


def test_metrics_are_appended_and_their_history_is_paged(api, version):
    client = api("engineer")
    points = [{"name": "loss", "value": 1 / (step + 1), "step": step} for step in range(5)]
    made = client.post("/api/v1/models/churn/versions/1/metrics", {"points": points}, format="json")
    assert made.status_code == 201
    assert client.get("/api/v1/models/churn/versions/1").json()["metrics"]["loss"] == pytest.approx(0.2)
    first = client.get("/api/v1/models/churn/versions/1/metrics?name=loss&limit=3").json()
    rest = client.get(
        f"/api/v1/models/churn/versions/1/metrics?name=loss&limit=3&after={first['next']}"
    ).json()
    assert [p["step"] for p in first["items"] + rest["items"]] == [0, 1, 2, 3, 4]
    assert rest["next"] is None
    stored = [point | {"at": None} for point in first["items"] + rest["items"]]
    assert [point | {"at": None} for point in made.json()["items"]] == stored
    one = {"points": [{"name": "f1", "value": 0.5}]}
    answer = client.post("/api/v1/models/churn/versions/1/metrics", one, format="json").json()
    assert answer["items"][0]["value"] == 0.5 and answer["items"][0]["at"]
    problem(client.get("/api/v1/models/churn/versions/1/metrics"), 400, "which metric", "name")
    bad = {"points": [{"name": "loss", "value": "low"}]}
    answer = client.post("/api/v1/models/churn/versions/1/metrics", bad, format="json")
    problem(answer, 400, "must be a number", "points[0].value")


def test_aliases_are_set_moved_and_deleted(api, version):
    manager, engineer = api("manager"), api("engineer")
    url = "/api/v1/models/churn/aliases"
    assert manager.put(f"{url}/champion", {"version": 1, "reason": "first"}, format="json").status_code == 200
    assert engineer.put(f"{url}/canary", {"version": "1"}, format="json").json()["version"] == 1
    assert [a["name"] for a in engineer.get(url).json()["items"]] == ["canary", "champion"]
    assert engineer.get("/api/v1/models/churn").json()["aliases"] == {"canary": 1, "champion": 1}
    problem(engineer.put(f"{url}/champion", {"version": 1}, format="json"), 403, "'promote'")
    problem(engineer.put(f"{url}/latest", {"version": 1}, format="json"), 400, "reserved", "alias")
    problem(engineer.put(f"{url}/x", {"version": 7}, format="json"), 404, "no version 7")
    problem(engineer.put(f"{url}/x", {}, format="json"), 400, "not a version number", "version")
    assert engineer.delete(f"{url}/canary").status_code == 204
    problem(engineer.get(f"{url}/canary"), 404, "no alias")


def test_notes_change_and_nothing_else(api, version):
    client = api("engineer")
    changed = client.patch("/api/v1/models/churn/versions/1", {"notes": "solid"}, format="json")
    assert changed.json()["notes"] == "solid"
    problem(
        client.patch("/api/v1/models/churn/versions/1", {"label": "2.0.0"}, format="json"),
        400,
        "not known",
        "label",
    )


def test_an_aliased_version_is_not_deleted(api, version, model):
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    problem(api("admin").delete("/api/v1/models/churn/versions/1"), 409, "champion")


def test_the_audit_trail_is_read_filtered_exported_and_checked(api, version):
    admin = api("admin")
    items = admin.get("/api/v1/audit?target=models/churn").json()["items"]
    assert [item["action"] for item in items] == ["version.register", "model.create"]
    assert "address" in items[0]
    assert "address" not in api("viewer").get("/api/v1/audit").json()["items"][0]
    lines = b"".join(admin.get("/api/v1/audit/export").streaming_content).splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == list(range(1, len(lines) + 1))
    entries = AuditEntry.objects.count()
    assert admin.get("/api/v1/audit/verify").json() == {
        "whole": True,
        "checked": entries,
        "of": entries,
        "fault": None,
        "at": None,
        "next": None,
    }


def test_who_am_i(api):
    assert api("engineer").get("/api/v1/me").json()["role"] == "engineer"
    nobody = api("outsider").get("/api/v1/me").json()
    assert (nobody["user"], nobody["role"], nobody["permissions"]) == ("outsider", None, [])
    assert nobody["token"].startswith("slw_") and len(nobody["token"]) == 12


def test_a_wrong_token_is_refused_even_where_a_session_would_do(web):
    answer = web("admin").get("/api/v1/models", headers={"Authorization": "Bearer slw_wrong"})
    problem(answer, 401, "unknown, expired or revoked")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_session_needs_the_csrf_token_to_write(cast, store):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(cast["engineer"])
    answer = client.post("/api/v1/models", {"name": "x"}, content_type="application/json")
    assert answer.status_code == 403
    assert client.get("/api/v1/models").status_code == 200


@pytest.mark.parametrize("count", [2, 12])
def test_lists_take_the_same_queries_however_long(api, store, onnx_path, django_assert_num_queries, count):
    for m in range(count):
        model = services.create_model(name=f"m{m}", actor=SYSTEM)
    for n in range(count):
        version = services.register_version(
            model=model, artifact=onnx_path, store=store, actor=SYSTEM,
            draft=VersionDraft.parse({"metrics": {"auc": n, "rmse": n}, "parent": n or None}),
        )  # fmt: skip
        services.add_metrics(
            version=version, points=[Point("loss", n, s) for s in range(count)], actor=SYSTEM
        )
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    client = api("viewer")
    client.get("/api/v1/models")
    for url, queries_ in (
        ("/api/v1/models", 1 + 2),
        (f"/api/v1/models/{model.name}", 1 + 1),
        (f"/api/v1/models/{model.name}/versions", 1 + 3),
        (f"/api/v1/models/{model.name}/versions/1", 1 + 1),
        (f"/api/v1/models/{model.name}/versions/1/metrics?name=loss", 1 + 3),
        ("/api/v1/audit", 1 + 1),
    ):
        with django_assert_num_queries(queries_):
            assert client.get(url).status_code == 200


def test_the_schema_describes_every_route_of_the_registry(api):
    schema = api("viewer").get("/api/schema/?format=json").json()
    for pattern in registry_urls.urlpatterns:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        # The schema calls a primary key what the model calls it.
        assert {f"/api/v1/{path}", f"/api/v1/{path.replace('{pk}', '{id}')}"} & set(schema["paths"]), path
    register = schema["paths"]["/api/v1/models/{name}/versions"]["post"]
    assert "multipart/form-data" in register["requestBody"]["content"]
    told = register["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"]
    described = schema["components"]["schemas"][told.rpartition("/")[2]] | {"additionalProperties": False}
    for answer in (
        api("viewer").post("/api/v1/models", {"name": "churn"}, format="json"),
        api("engineer").post("/api/v1/models", {"name": "a b"}, format="json"),
        api("engineer").get("/api/v1/nothing"),
        api(None).get("/api/v1/models"),
    ):
        jsonschema.validate(json.loads(answer.content), described)


def test_a_version_registered_over_rest_is_what_queries_give(api, model):
    upload(api("engineer"), metadata={"metrics": {"auc": 0.9}})
    version = queries.version_by_number(model, 1)
    assert version.latest_metrics.get().value == 0.9


@pytest.mark.parametrize(
    "url",
    [
        "/api/v1/models?search=a%00",
        "/api/v1/models?after=%00",
        "/api/v1/models/a%00b",
        "/api/v1/models/churn/aliases/a%00",
        "/api/v1/models/churn/versions?limit=1.5",
        "/api/v1/models/churn/versions/1/metrics?name=%00",
        "/api/v1/models/churn/versions/1/metrics?name=rmse&after=junk",
        "/api/v1/audit?target=%00",
        "/api/v1/audit?after=99999999999999999999",
    ],
)
def test_odd_characters_and_numbers_are_answered_with_a_problem(api, version, url):
    answer = api("admin").get(url)
    assert answer.status_code in {400, 404} and answer["Content-Type"] == "application/problem+json"


def test_a_cursor_beyond_every_row_is_an_empty_page(api, version):
    url = "/api/v1/models/churn/versions/1/metrics?name=rmse&after=9999999999999999999.1"
    assert api("viewer").get(url).json() == {"items": [], "next": None}


def attach(client, content=ROWS, name="ref.npz", number=1):
    body = {"reference": SimpleUploadedFile(name, content), "reason": "forgotten"}
    return client.post(f"/api/v1/models/churn/versions/{number}/profile", body, format="multipart")


def test_a_version_without_a_profile_gets_one_later_and_only_once(api, model):
    upload(api("engineer"))
    page = "/api/v1/models/churn/versions/1/profile"
    problem(api("viewer").get(page), 404, "no baseline profile")
    made = attach(api("engineer"))
    assert made.status_code == 201
    upload(api("engineer"), reference=ROWS)
    twin = api("viewer").get("/api/v1/models/churn/versions/2").json()
    for field in ("profile", "reference_digest", "findings", "signature"):
        assert made.json()[field] == twin[field], field
    assert api("viewer").get(page).json() == twin["profile"]
    entry = AuditEntry.objects.filter(action="version.profile").get()
    assert (entry.reason, entry.after["rows"]) == ("forgotten", 50)
    problem(attach(api("engineer")), 409, "never changes", "reference")


def test_a_csv_becomes_a_profile_and_what_cannot_become_one_is_told(api, model):
    upload(api("engineer"), metadata={"feature_names": ["a", "b", "c"]})
    problem(attach(api("engineer"), b"junk", "ref.csv"), 400, "", "reference")
    problem(api("engineer").post("/api/v1/models/churn/versions/1/profile", {}), 400, "missing", "reference")
    assert Version.objects.get().profile is None
    rows = "a,b,c\n" + "".join(f"{n},{n % 7},{n % 3}\n" for n in range(100))
    assert attach(api("engineer"), rows.encode(), "ref.csv").json()["profile"]["rows"] == 100


def test_a_format_that_is_not_run_has_no_profile(api, model):
    content = SimpleUploadedFile("m.pkl", b"\x80\x04K\x01.")
    api("engineer").post("/api/v1/models/churn/versions", {"artifact": content}, format="multipart")
    problem(attach(api("engineer")), 400, "only ONNX models are", "reference")
