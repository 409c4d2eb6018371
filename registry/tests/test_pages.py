"""The pages, as a browser without JavaScript sees them."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from registry import queries, services, tokens
from registry.domain.actor import SYSTEM
from registry.domain.draft import VersionDraft
from registry.models import ApiToken, Model, Version
from registry.tests import onnx_files


def text(answer):
    assert answer.status_code == 200, answer.content[:2000]
    return answer.content.decode()


@pytest.fixture
def rival(version, model, store, onnx_path, reference_path):
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    return services.register_version(
        model=model,
        artifact=onnx_path,
        reference=reference_path,
        store=store,
        actor=SYSTEM,
        draft=VersionDraft.parse(
            {
                "metrics": {"rmse": 1.5, "auc": 0.7},
                "parent": 1,
                "hyperparameters": {"items": 3, "<b>": "<script>alert(1)</script>"},
                "git_sha": "abcdef1",
            }
        ),
    )


def test_the_models_page_lists_searches_and_links(web, rival):
    page = text(web("viewer").get("/models/"))
    assert '<a href="/models/churn/">churn</a>' in page and "growth" in page
    assert "New model" not in page, "a viewer cannot create one"
    assert "No model matches" in text(web("viewer").get("/models/?search=nothing"))
    assert "New model" in text(web("engineer").get("/models/"))


def test_the_models_page_without_models_says_what_to_do(web):
    assert "Create the first one" in text(web("engineer").get("/models/"))


def test_a_models_page_shows_its_versions_against_the_champion(web, rival):
    page = text(web("engineer").get("/models/churn/"))
    assert "champion v1" in page
    assert 'hx-get="/rollouts/live?model=churn"' in page
    assert re.search(r"1\.5 <span class=\"badge badge--pass\">better", page)
    assert re.search(r"0\.7 <span class=\"badge badge--fail\">worse", page)
    assert "/rollouts/new?model=churn&amp;version=2" in page
    assert "/rollouts/new?model=churn&amp;version=1" not in page, "the champion is not rolled out onto itself"


def test_a_versions_page_shows_everything_known_and_escapes_it(web, rival):
    page = text(web("engineer").get("/models/churn/versions/2/"))
    assert rival.digest in page and "abcdef1" in page
    assert "-0.5 (-25.0 %)" in page and ">better<" in page and ">worse<" in page
    assert '<a href="/models/churn/versions/1/">v1</a>' in page
    assert "[N, 3]" in page and "float32" in page
    assert page.count("<rect") > 10 and "100 reference rows" in page
    assert "<script>alert" not in page and "&lt;script&gt;" in page
    assert "/rollouts/new?model=churn&amp;version=2" in page
    assert "style=" not in page, "the content security policy forbids style attributes"
    champion = text(web("viewer").get("/models/churn/versions/1/"))
    assert "this is the champion" in champion and "Start a rollout" not in champion


def test_pages_of_what_does_not_exist_are_not_found(web, version):
    for url in ("/models/none/", "/models/churn/versions/9/", "/models/churn/versions/9/artifact"):
        assert web("viewer").get(url).status_code == 404
    assert web("viewer").get("/models/churn/?after=x").status_code == 400


def test_a_model_is_created_in_the_browser(web):
    answer = web("engineer").post("/models/-/new", {"name": "fraud", "owner_team": "risk"})
    assert answer["Location"] == "/models/fraud/"
    assert Model.objects.get().created_by == "engineer"
    again = web("engineer").post("/models/-/new", {"name": "fraud"})
    assert again.status_code == 400 and b"exists already" in again.content
    odd = web("engineer").post("/models/-/new", {"name": "a b"})
    assert odd.status_code == 400 and b"cannot name a model" in odd.content


def form(**changes):
    content = SimpleUploadedFile("model.onnx", onnx_files.linear().SerializeToString())
    return {"artifact": content, "label": "1.0.0", "metrics": "rmse = 53.1\nval/auc: 0.9\n"} | changes


def test_a_version_is_uploaded_in_the_browser(web, model, reference_path):
    reference = SimpleUploadedFile("ref.npz", reference_path.read_bytes())
    body = form(reference=reference, feature_names="age\nbmi\nbp", hyperparameters='{"depth": 3}')
    answer = web("engineer").post("/models/churn/versions/new", body)
    assert answer.status_code == 302, answer.content.decode()
    assert answer["Location"] == "/models/churn/versions/1/"
    version = queries.version_by_number(model, 1)
    assert {m.name: m.value for m in version.latest_metrics.all()} == {"rmse": 53.1, "val/auc": 0.9}
    assert version.hyperparameters == {"depth": 3} and version.filename == "model.onnx"
    assert version.profile["inputs"][1]["name"] == "bmi"


def test_the_upload_form_takes_tags_dependencies_and_the_feature_schema(web, model):
    said = {
        "tags": "stage = dev",
        "dependencies": "numpy==2.0\n\nonnx==1.17\n",
        "feature_schema_version": "7",
    }
    assert web("engineer").post("/models/churn/versions/new", form(**said)).status_code == 302
    version = queries.version_by_number(model, 1)
    assert version.tags == {"stage": "dev"} and version.dependencies == ["numpy==2.0", "onnx==1.17"]
    assert version.feature_schema_version == "7"


@pytest.mark.parametrize(
    "sent", ["{", '{"path": "a"}', '[{"path": "a"}]', '[{"path": "../a", "upload": 7}]', "[]"]
)
def test_a_folder_that_the_form_cannot_name_is_explained(web, model, sent):
    answer = web("engineer").post("/models/churn/versions/new", {"folder_uploads": sent})
    assert answer.status_code in {400, 404}, answer.content


def test_a_profile_is_computed_in_the_browser_for_a_version_without_one(
    web, model, store, onnx_path, reference_path
):
    services.register_version(model=model, artifact=onnx_path, store=store, actor=SYSTEM)
    page, action = "/models/churn/versions/1/", "/models/churn/versions/1/profile"
    assert "Compute the profile" in text(web("engineer").get(page))
    assert "Compute the profile" not in text(web("viewer").get(page))
    junk = web("engineer").post(action, {"reference": SimpleUploadedFile("a.npz", b"junk")})
    assert junk.status_code == 400 and b"Compute the profile" in junk.content
    rows = SimpleUploadedFile("a.npz", reference_path.read_bytes())
    assert web("engineer").post(action, {"reference": rows}).status_code == 302
    shown = text(web("engineer").get(page))
    assert "reference rows" in shown and "Compute the profile" not in shown


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"artifact": SimpleUploadedFile("m.onnx", b"")}, "The file is empty"),
        ({"artifact": SimpleUploadedFile("m.onnx", b"\x80\x04\x95")}, "begins like a pickle"),
        ({"artifact": ""}, "This field is required"),
        ({"metrics": "rmse"}, "is not a metric"),
        ({"metrics": "rmse = high"}, "is not a metric"),
        ({"metrics": "rmse = nan"}, "&#x27;rmse = nan&#x27; is not a metric"),
        ({"hyperparameters": "{"}, "not valid JSON"),
        ({"hyperparameters": "[1]"}, "must be a JSON object"),
        ({"label": "first"}, "not a semantic version"),
        ({"parent": "7"}, "no version 7"),
    ],
)
def test_a_bad_upload_is_explained_on_the_form_and_stores_nothing(web, model, store, changes, told):
    answer = web("engineer").post("/models/churn/versions/new", form(**changes))
    assert answer.status_code == 400 and told in answer.content.decode()
    assert not Version.objects.exists() and not list(store.digests())


def test_an_upload_over_the_limit_is_refused_on_a_page(web, model, settings):
    settings.SLIPWAY_MAX_ARTIFACT_MB = 1
    body = form(artifact=SimpleUploadedFile("m.onnx", b"\0" * (3 << 20)))
    answer = web("engineer").post("/models/churn/versions/new", body)
    assert answer.status_code == 413 and b"more than 1 MiB" in answer.content


def test_an_upload_without_the_csrf_token_is_refused(cast, model, store):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast["engineer"])
    assert client.post("/models/churn/versions/new", form()).status_code == 403
    page = client.get("/models/churn/versions/new").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page).group(1)
    assert client.post("/models/churn/versions/new", form(csrfmiddlewaretoken=token)).status_code == 302


def test_the_artifact_downloads(web, version, onnx_path):
    answer = web("viewer").get("/models/churn/versions/1/artifact")
    assert b"".join(answer.streaming_content) == onnx_path.read_bytes()


def test_the_audit_page_shows_filters_and_checks_the_chain(web, version):
    page = text(web("viewer").get("/audit/"))
    assert "version.register" in page and "Check the chain" not in page
    assert "No entry matches" in text(web("viewer").get("/audit/?target=models/other"))
    assert "The chain is whole" in text(web("admin").get("/audit/?check=1"))
    assert web("viewer").get("/audit/?check=1").status_code == 403


def test_a_token_is_shown_once_works_and_is_revoked(web):
    client = web("engineer")
    body = {"name": "ci", "expires": "30", "scopes": ["view"]}
    secret = re.search(r"slw_[\w-]{43}", text(client.post("/tokens/", body))).group()
    user, token = tokens.authenticate(secret)
    assert user.username == "engineer" and token.scopes == ["view"] and token.expires_at
    assert secret not in text(client.get("/tokens/")) and token.prefix in text(client.get("/tokens/"))
    assert web("viewer").post(f"/tokens/{token.pk}/revoke").status_code == 404, "it is not the viewer's"
    assert client.post(f"/tokens/{token.pk}/revoke")["Location"] == "/tokens/"
    assert tokens.authenticate(secret) is None
    assert "revoked" in text(client.get("/tokens/"))


def test_a_token_that_never_expires_needs_to_be_asked_for(web):
    web("engineer").post("/tokens/", {"name": "ci", "expires": ""})
    assert ApiToken.objects.get().expires_at is None and ApiToken.objects.get().scopes is None


def test_signing_in_and_out(cast, store):
    cast["viewer"].set_password("correct horse")
    cast["viewer"].save()
    client = Client()
    assert client.post("/login", {"username": "viewer", "password": "wrong"}).status_code == 200
    answer = client.post(
        "/login?next=/models/", {"username": "viewer", "password": "correct horse", "next": "/models/"}
    )
    assert answer["Location"] == "/models/"
    assert client.get("/models/").status_code == 200
    assert client.post("/logout").status_code == 302
    assert client.get("/models/").status_code == 302


def test_signing_in_never_leads_to_another_site(cast, store):
    cast["viewer"].set_password("correct horse")
    cast["viewer"].save()
    body = {"username": "viewer", "password": "correct horse", "next": "https://evil.example/"}
    assert Client().post("/login", body)["Location"] == "/"


@pytest.mark.parametrize("count", [2, 10])
def test_pages_take_the_same_queries_however_much_they_show(
    web, model, store, onnx_path, django_assert_max_num_queries, count
):
    for n in range(count):
        version = services.register_version(
            model=model, artifact=onnx_path, store=store, actor=SYSTEM,
            draft=VersionDraft.parse({"metrics": {"auc": n}, "parent": n or None}),
        )  # fmt: skip
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    client = web("viewer")
    # Session, user and role take three; the rest is the page's own.
    for url, most in (
        ("/models/", 3 + 2),
        ("/models/churn/", 3 + 10),
        ("/models/churn/versions/1/", 3 + 10),
        ("/audit/", 3 + 1),
    ):
        with django_assert_max_num_queries(most):
            assert client.get(url).status_code == 200


def test_the_administration_shows_rows_and_changes_none(cast, version, client):
    cast["admin"].is_staff = cast["admin"].is_superuser = True
    cast["admin"].save()
    client.force_login(cast["admin"])
    for name in ("model", "version", "metric", "alias", "apitoken", "auditentry"):
        assert client.get(f"/admin/registry/{name}/").status_code == 200
        assert client.get(f"/admin/registry/{name}/add/").status_code == 403
    assert client.post(f"/admin/registry/version/{version.pk}/change/", {"label": "9.9.9"}).status_code == 403
    assert client.post(f"/admin/registry/version/{version.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_version_that_repeats_another_one_is_registered_with_a_remark(web, version):
    again = web("engineer").post("/models/churn/versions/new", form(label="2.0.0"), follow=True)
    assert "Version 1 has the same content." in text(again) and "same label" not in text(again)
    third = web("engineer").post("/models/churn/versions/new", form(label="2.0.0"), follow=True)
    assert "Version 2 has the same content." in text(third)
    assert "Version 2 has the same label." in text(third)


def test_an_upload_form_that_is_shown_again_asks_for_a_file_as_at_first(web, model):
    sent = {"artifact_upload": "00000000-0000-0000-0000-000000000001"}
    answer = web("engineer").post("/models/churn/versions/new", sent)
    assert answer.status_code == 400
    assert '<label for="id_artifact">Model file</label>' in answer.content.decode()
