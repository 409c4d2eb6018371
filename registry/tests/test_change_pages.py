"""Changing models and versions in the browser, and looking at their numbers."""

import html

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import services
from registry.domain.actor import SYSTEM
from registry.domain.draft import Point, VersionDraft
from registry.models import Alias, AuditEntry, Model, Version
from registry.tests.test_pages import text
from registry.web.change_forms import lines_of, tags_of

HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "dialog"}


def newest():
    return AuditEntry.objects.order_by("-sequence").first()


def test_description_and_tags_of_a_model_are_changed_and_say_why(web, model):
    page = text(web("engineer").get("/models/churn/"))
    assert 'href="/models/churn/change"' in page
    form = text(web("engineer").get("/models/churn/change"))
    assert "growth" in form
    said = {"description": "Who leaves?", "owner_team": "growth", "tags": "tier = 1", "reason": "clearer"}
    assert web("engineer").post("/models/churn/change", said)["Location"] == "/models/churn/"
    model.refresh_from_db()
    assert (model.description, model.tags, model.owner_team) == ("Who leaves?", {"tier": "1"}, "growth")
    assert newest().reason == "clearer" and newest().actor_name == "engineer"


def test_a_field_that_was_not_sent_stays(web, model):
    services.update_model(model=model, description="kept", tags={"a": "b"}, actor=SYSTEM)
    assert web("engineer").post("/models/churn/change", {"description": "new"}).status_code == 302
    model.refresh_from_db()
    assert model.description == "new" and model.tags == {"a": "b"} and model.owner_team == "growth"


def test_only_an_administrator_gives_a_model_to_another_team(web, model):
    refused = web("engineer").post("/models/churn/change", {"owner_team": "risk"})
    assert refused.status_code == 400 and b"administer" in refused.content
    assert web("admin").post("/models/churn/change", {"owner_team": "risk"}).status_code == 302
    assert Model.objects.get().owner_team == "risk"


def test_notes_and_tags_of_a_version_are_changed_in_the_browser(web, version):
    assert "Change notes and tags" not in text(web("viewer").get("/models/churn/versions/1/"))
    assert "Change notes and tags" in text(web("engineer").get("/models/churn/versions/1/"))
    said = {"notes": "Not for EU data.", "tags": "region = us\nowner = ada"}
    assert web("engineer").post("/models/churn/versions/1/notes", said).status_code == 302
    page = text(web("viewer").get("/models/churn/versions/1/"))
    assert "Not for EU data." in page and "<dt>owner</dt><dd>ada</dd>" in page
    odd = web("engineer").post("/models/churn/versions/1/notes", {"tags": "region"})
    assert odd.status_code == 400 and b"Write key = value" in odd.content


@pytest.mark.parametrize(
    ("to", "field"), [("/models/churn/versions/1/notes", "notes"), ("/models/churn/change", "description")]
)
def test_who_changes_what_another_has_changed_meanwhile_is_told_and_loses_nothing(web, version, to, field):
    ada, bob = web("engineer"), web("admin")
    seen = ada.get(to).context["form"]["seen"].value()
    assert f'value="{seen}"' in text(ada.get(to))
    assert bob.post(to, {field: "Bob's words", "tags": "by = bob", "seen": seen}).status_code == 302
    before = newest().sequence
    told = ada.post(to, {field: "Ada's words", "tags": "by = ada", "seen": seen})
    shown = html.unescape(told.content.decode())
    assert told.status_code == 400 and newest().sequence == before, "nothing is saved"
    assert (
        "Somebody else changed it" in shown and "There now: Bob's words" in shown and "Ada's words" in shown
    )
    fresh = told.context["form"]["seen"].value()
    assert fresh != seen and f'value="{fresh}"' in shown
    assert ada.post(to, {field: "Bob's and Ada's words", "seen": fresh}).status_code == 302
    assert "Bob's and Ada's words" in html.unescape(text(ada.get(to))) and "by = bob" in text(ada.get(to))


def test_an_alias_is_set_moved_and_removed_in_the_browser(web, version, model):
    to = "/models/churn/versions/1/alias"
    assert web("engineer").post(to, {"alias": "candidate", "reason": "try it"}).status_code == 302
    assert Alias.objects.get().version == version and newest().reason == "try it"
    assert "candidate" in text(web("engineer").get(to)), "the form names those that can be moved"
    held = web("engineer").post(to, {"alias": "champion"})
    assert held.status_code == 400 and b"promote" in held.content
    assert web("manager").post(to, {"alias": "champion"}).status_code == 302
    page = text(web("engineer").get("/models/churn/"))
    assert "/models/churn/aliases/candidate/delete" in page
    assert "/models/churn/aliases/champion/delete" not in page, "that takes the permission to promote"
    assert web("engineer").post("/models/churn/aliases/champion/delete").status_code == 403
    assert web("engineer").post("/models/churn/aliases/candidate/delete").status_code == 302
    assert [alias.name for alias in Alias.objects.all()] == ["champion"]


@pytest.mark.parametrize("name", ["latest", "7", "a b", ""])
def test_an_alias_that_cannot_be_one_is_explained_on_the_form(web, version, name):
    answer = web("engineer").post("/models/churn/versions/1/alias", {"alias": name})
    assert answer.status_code == 400 and b'class="errors"' in answer.content
    assert not Alias.objects.exists()


def test_a_version_that_an_alias_names_is_not_deleted_and_the_page_says_why(web, version, model):
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    refused = web("admin").post("/models/churn/versions/1/delete", {"reason": "old"})
    assert refused.status_code == 400 and b"The alias &#x27;champion&#x27; points at" in refused.content
    services.delete_alias(model=model, name="champion", actor=SYSTEM)
    assert (
        web("admin").post("/models/churn/versions/1/delete", {"reason": "old"})["Location"]
        == "/models/churn/"
    )
    assert web("admin").get("/models/churn/versions/1/").status_code == 404
    assert Version.objects.get().deleted_at and newest().reason == "old"


def test_a_model_is_deleted_after_a_question(web, version):
    asked = text(web("admin").get("/models/churn/delete"))
    assert "the name may be given again" in asked and Model.objects.get().deleted_at is None
    assert web("admin").post("/models/churn/delete", {"reason": "done"})["Location"] == "/models/"
    assert web("admin").get("/models/churn/").status_code == 404


def test_the_dialog_gets_a_fragment_and_goes_on_by_itself(web, version):
    fragment = text(web("admin").get("/models/churn/versions/1/delete", **HTMX))
    assert "<html" not in fragment and 'id="dialog-title"' in fragment
    done = web("admin").post("/models/churn/versions/1/delete", {}, **HTMX)
    assert done["HX-Redirect"] == "/models/churn/"


def test_a_metric_is_drawn_over_its_steps_beside_the_champions(web, version, model, store, onnx_path):
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    rival = services.register_version(model=model, artifact=onnx_path, store=store, actor=SYSTEM)
    for one, top in ((version, 2.0), (rival, 1.0)):
        points = [Point("val/loss", top / (step + 1), step) for step in range(5)]
        services.add_metrics(version=one, points=points, actor=SYSTEM)
    page = text(web("viewer").get("/models/churn/versions/2/metrics?name=val/loss"))
    assert page.count('<path class="series series--candidate"') == 2, "the legend and the line"
    assert page.count('<path class="series series--stable"') == 2
    assert "5 points, steps 0 to 4: lowest 0.2 at step 4, highest 1 at step 0, last 0.2" in page
    assert "style=" not in page
    assert "val/loss" in text(web("viewer").get("/models/churn/versions/2/metrics")), "the first by name"
    assert "have points of none" in text(
        web("viewer").get("/models/churn/versions/2/metrics?name=none")
    ).replace("has points", "have points")


def test_two_versions_are_compared_by_number_or_alias(web, version, model, store, onnx_path):
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    said = {"metrics": {"rmse": 1.0}, "hyperparameters": {"depth": 9}, "dependencies": ["numpy==2.0"]}
    services.register_version(
        model=model, artifact=onnx_path, store=store, actor=SYSTEM, draft=VersionDraft.parse(said)
    )
    page = text(web("viewer").get("/models/churn/compare?a=champion&b=latest"))
    assert "rmse" in page and "<h2>Hyper-parameters</h2>" in page and "numpy==2.0" in page
    assert "<h2>Signature</h2>" not in page, "both have the same"
    assert "Compare versions" in text(web("viewer").get("/models/churn/compare"))
    none = web("viewer").get("/models/churn/compare?a=v1&b=nobody")
    assert none.status_code == 400 and b"has no version" in none.content
    assert web("viewer").get("/models/churn/compare?a=1&b=99").status_code == 404


def test_the_version_page_shows_parity_latency_and_where_it_comes_from(
    web, model, store, onnx_path, reference_path
):
    draft = {"dataset_digest": "d1", "feature_schema_version": "7"}
    for parent in (None, 1, 2):
        services.register_version(
            model=model, artifact=onnx_path, store=store, actor=SYSTEM, reference=reference_path,
            draft=VersionDraft.parse(draft | ({"parent": parent} if parent else {})),
        )  # fmt: skip
    page = text(web("viewer").get("/models/churn/versions/3/"))
    assert '<a href="/models/churn/versions/2/">v2</a> ← <a href="/models/churn/versions/1/">v1</a>' in page
    assert "<dt>Same data</dt>" in page and "<dt>Feature schema</dt><dd>7</dd>" in page
    assert "<h2>Latency</h2>" in page and "Median per row, ms" in page
    assert "<h2>Parity</h2>" not in page, "no answers were shipped"


def test_the_version_page_shows_which_outputs_the_export_changed_and_what_was_allowed(
    web, model, store, onnx_path, tmp_path
):
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(tmp_path / "ref.npz", X=rows, expected=np.full((4, 1), 1e6, dtype=np.float32))
    services.register_version(
        model=model, artifact=onnx_path, store=store, actor=SYSTEM, reference=tmp_path / "ref.npz"
    )
    page = text(web("viewer").get("/models/churn/versions/1/"))
    assert "4 of 4" in page and "1e-05 + 0.001 × value" in page and ">failed<" in page


tag = st.text("ab=\\\\n ü", min_size=1, max_size=12).map(lambda word: " ".join(word.split())).filter(bool)


@given(st.dictionaries(tag, tag, max_size=5))
def test_tags_are_the_same_after_they_were_shown_in_the_form(tags):
    assert tags_of(lines_of(tags)) == tags


def test_a_tag_of_several_lines_is_shown_on_one():
    assert lines_of({"why": "a\nb"}) == "why = a\\nb" and tags_of("why = a\\nb") == {"why": "a\nb"}
