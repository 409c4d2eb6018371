"""Roles on everything, on a team's models and on one model: who sees and may change what."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from registry import directory, services, tokens
from registry.domain.access import Scope
from registry.domain.actor import SYSTEM
from registry.domain.roles import Permission, Role
from registry.errors import Conflict, Forbidden, Invalid
from registry.identity import grants_of, may, permissions_of, role_of
from registry.models import AuditEntry, RoleGrant

pytestmark = pytest.mark.django_db


@pytest.fixture
def models(store):
    """Two models of team growth, one of team risk."""
    made = {}
    for name, team in (("churn", "growth"), ("uplift", "growth"), ("fraud", "risk")):
        made[name] = services.create_model(name=name, owner_team=team, actor=SYSTEM)
    return made


def give(user, role, **where):
    return services.grant_role(user=user, role=role, actor=SYSTEM, **where)


def fresh(user):
    return User.objects.get(pk=user.pk)


@pytest.fixture
def outsider(cast):
    return cast["outsider"]


def test_a_role_on_a_team_reaches_its_models_and_no_other(models, outsider):
    give(outsider, Role.ENGINEER, team="growth")
    user = fresh(outsider)
    assert may(user, Permission.REGISTER, models["churn"]) and may(
        user, Permission.REGISTER, models["uplift"]
    )
    assert not may(user, Permission.VIEW, models["fraud"])
    assert not may(user, Permission.VIEW), "not on everything"


def test_a_role_on_a_model_adds_to_the_role_on_everything(models, cast):
    give(cast["viewer"], Role.RELEASE_MANAGER, model=models["churn"])
    user = fresh(cast["viewer"])
    assert role_of(user, models["churn"]) is Role.RELEASE_MANAGER
    assert role_of(user, models["uplift"]) is Role.VIEWER


def test_lists_show_only_what_may_be_viewed_and_the_rest_does_not_exist(api, web, models, outsider):
    give(outsider, Role.VIEWER, model=models["churn"])
    client = api("outsider")
    assert [m["name"] for m in client.get("/api/v1/models").json()["items"]] == ["churn"]
    assert client.get("/api/v1/models/churn").status_code == 200
    hidden, absent = client.get("/api/v1/models/fraud"), client.get("/api/v1/models/nothing")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["detail"].replace("fraud", "nothing") == absent.json()["detail"]
    assert client.get("/api/v1/audit").status_code == 403
    page = web("outsider").get("/models/").content.decode()
    assert "churn" in page and "fraud" not in page
    assert web("outsider").get("/models/fraud/").status_code == 404


def test_who_may_view_but_not_change_is_told_so(api, models, outsider):
    give(outsider, Role.VIEWER, team="growth")
    answer = api("outsider").patch("/api/v1/models/churn", {"description": "x"}, format="json")
    assert answer.status_code == 403 and "Your role is viewer" in answer.json()["detail"]


def test_a_model_is_created_in_a_team_by_those_who_may_register_there(api, models, outsider):
    give(outsider, Role.ENGINEER, team="growth")
    client = api("outsider")

    def create(**said):
        return client.post("/api/v1/models", said, format="json").status_code

    assert create(name="mine", owner_team="growth") == 201
    assert create(name="theirs", owner_team="risk") == 403
    assert create(name="nobodys") == 403


def test_only_administrators_move_a_model_to_another_team(api, models):
    change = {"owner_team": "risk"}
    assert api("engineer").patch("/api/v1/models/churn", change, format="json").status_code == 403
    same = {"owner_team": "growth", "description": "x"}
    assert api("engineer").patch("/api/v1/models/churn", same, format="json").status_code == 200
    assert api("admin").patch("/api/v1/models/churn", change, format="json").status_code == 200


def test_the_champion_of_a_model_is_named_by_its_release_managers(api, version, outsider):
    url, body = "/api/v1/models/churn/aliases/champion", {"version": 1}
    give(outsider, Role.ENGINEER, model=version.model)
    assert api("outsider").put(url, body, format="json").status_code == 403
    give(outsider, Role.RELEASE_MANAGER, model=version.model)
    assert api("outsider").put(url, body, format="json").status_code == 200


def test_administrators_of_a_team_grant_roles_on_it_and_nowhere_else(api, models, outsider, cast):
    give(outsider, Role.ADMIN, team="growth")
    client = api("outsider")

    def grant(**where):
        return client.post("/api/v1/grants", {"user": "viewer", "role": "admin", **where}, format="json")

    assert grant(team="growth").status_code == 201
    assert grant(model="uplift").status_code == 201
    assert grant(team="risk").status_code == 403
    assert grant(model="fraud").status_code == 404, "not even visible"
    assert grant().status_code == 403, "on everything"
    listed = client.get("/api/v1/grants").json()["items"]
    assert {(g["user"], g["team"], g["model"]) for g in listed} == {
        ("outsider", "growth", None), ("viewer", "growth", None), ("viewer", None, "uplift"),
    }  # fmt: skip
    foreign = RoleGrant.objects.get(user=cast["viewer"], team="", model=None)
    assert client.delete(f"/api/v1/grants/{foreign.pk}").status_code == 403
    own = RoleGrant.objects.get(user=cast["viewer"], model=models["uplift"])
    assert client.delete(f"/api/v1/grants/{own.pk}").status_code == 204


def test_a_grant_is_replaced_and_audited_with_before_and_after(models, outsider):
    give(outsider, Role.VIEWER, team="growth")
    give(outsider, Role.ENGINEER, team="growth", reason="joined the team")
    give(outsider, Role.ENGINEER, team="growth")
    assert [g.role for g in grants_of(fresh(outsider))] == [Role.ENGINEER]
    entry = AuditEntry.objects.filter(action="role.grant").first()
    assert entry.target == "users/outsider" and entry.reason == "joined the team"
    assert entry.before == {"role": "viewer", "on": "team growth"}
    assert entry.after == {"role": "engineer", "on": "team growth"}
    services.revoke_role(grant=RoleGrant.objects.get(user=outsider), actor=SYSTEM)
    assert AuditEntry.objects.filter(action="role.revoke").count() == 1
    assert grants_of(fresh(outsider)) == ()


def test_the_last_administrator_stays(cast):
    only = RoleGrant.objects.get(user=cast["admin"])
    with pytest.raises(Conflict, match="last administrator"):
        services.revoke_role(grant=only, actor=SYSTEM)
    with pytest.raises(Conflict, match="last administrator"):
        give(cast["admin"], Role.VIEWER)
    give(cast["manager"], Role.ADMIN)
    services.revoke_role(grant=only, actor=SYSTEM)


def test_a_model_of_the_same_name_inherits_no_grant(models, outsider):
    give(outsider, Role.ADMIN, model=models["churn"])
    services.delete_model(model=models["churn"], actor=SYSTEM)
    again = services.create_model(name="churn", actor=SYSTEM)
    assert not permissions_of(fresh(outsider), again)


def test_a_token_limited_to_a_model_reaches_nothing_else(api, models, cast):
    _, secret = tokens.create_token(
        user=cast["admin"], name="ci", scope=Scope(model=models["churn"].pk), actor=SYSTEM
    )
    client = api(None)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert [m["name"] for m in client.get("/api/v1/models").json()["items"]] == ["churn"]
    assert client.patch("/api/v1/models/churn", {"description": "x"}, format="json").status_code == 200
    assert client.get("/api/v1/models/fraud").status_code == 404
    assert client.get("/api/v1/audit").status_code == 403
    assert client.post("/api/v1/models", {"name": "new"}, format="json").status_code == 403
    assert client.get("/api/v1/grants").json()["items"] == []
    assert client.post(
        "/api/v1/grants", {"user": "viewer", "role": "admin"}, format="json"
    ).status_code == 403  # fmt: skip


def test_a_token_limited_to_a_team_reaches_its_models(models, cast):
    _, secret = tokens.create_token(
        user=cast["engineer"], name="ci", scopes=["write"], scope=Scope(team="growth"), actor=SYSTEM
    )
    user, _ = tokens.authenticate(secret)
    assert permissions_of(user, models["churn"]) == {Permission.VIEW, Permission.REGISTER}
    assert not permissions_of(user, models["fraud"]) and not permissions_of(user)


def test_one_is_told_which_roles_one_holds_where(api, models, outsider):
    give(outsider, Role.ENGINEER, model=models["churn"])
    give(outsider, Role.VIEWER, team="risk")
    assert api("outsider").get("/api/v1/me").json()["grants"] == [
        {"role": "engineer", "team": None, "model": "churn"},
        {"role": "viewer", "team": "risk", "model": None},
    ]


def test_authentication_costs_one_query_however_many_roles_there_are(models, cast, django_assert_num_queries):
    for model in models.values():
        give(cast["engineer"], Role.RELEASE_MANAGER, model=model)
    give(cast["engineer"], Role.VIEWER, team="risk")
    _, secret = tokens.create_token(user=cast["engineer"], name="ci", actor=SYSTEM)
    tokens.authenticate(secret)
    with django_assert_num_queries(1) as captured:
        user, _ = tokens.authenticate(secret)
        assert role_of(user, models["churn"]) is Role.RELEASE_MANAGER
        assert len(grants_of(user)) == 5
    assert "digest" in captured[0]["sql"]


def test_a_token_of_an_administrator_that_may_only_view_is_a_viewer(models, cast):
    _, secret = tokens.create_token(user=cast["admin"], name="ro", scopes=["read"], actor=SYSTEM)
    user, _ = tokens.authenticate(secret)
    assert role_of(user) is role_of(user, models["churn"]) is Role.VIEWER


def test_a_token_makes_no_token_wider_than_itself(models, cast):
    soon = timezone.now() + timedelta(hours=1)
    maker, _ = tokens.create_token(
        user=cast["engineer"], name="m", scopes=["read"], scope=Scope(team="growth"), expires_at=soon,
        actor=SYSTEM,
    )  # fmt: skip
    good = {"scopes": ["view"], "scope": Scope(team="growth"), "expires_at": soon}
    for wider in ({"scopes": None}, {"scopes": ["write"]}, {"scope": Scope()}, {"expires_at": None}):
        with pytest.raises(Forbidden):
            tokens.create_token(user=cast["engineer"], name="x", actor=SYSTEM, maker=maker, **(good | wider))
    tokens.create_token(user=cast["engineer"], name="x", actor=SYSTEM, maker=maker, **good)


def test_a_service_account_works_by_its_tokens_and_ends_with_them(api, models, cast):
    admin = api("admin")
    assert admin.post("/api/v1/service-accounts", {"name": "ci"}, format="json").status_code == 201
    assert admin.post("/api/v1/service-accounts", {"name": "viewer"}, format="json").status_code == 409
    grant = {"user": "ci", "role": "engineer", "model": "churn"}
    assert admin.post("/api/v1/grants", grant, format="json").status_code == 201
    made = admin.post("/api/v1/service-accounts/ci/tokens", {"name": "main"}, format="json").json()
    client = api(None)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made['secret']}")
    assert client.get("/api/v1/me").json()["user"] == "ci"
    assert client.patch("/api/v1/models/churn", {"description": "x"}, format="json").status_code == 200
    assert AuditEntry.objects.first().actor_name == "ci"
    assert admin.delete("/api/v1/service-accounts/ci").status_code == 204
    assert client.get("/api/v1/me").status_code == 401
    assert not User.objects.get(username="ci").has_usable_password()


def test_somebody_elses_token_is_revoked_by_administrators_only(api, cast):
    token, _ = tokens.create_token(user=cast["viewer"], name="mine", actor=SYSTEM)
    assert api("engineer").delete(f"/api/v1/tokens/{token.pk}").status_code == 404
    assert api("admin").delete(f"/api/v1/tokens/{token.pk}").status_code == 204


def test_with_a_token_one_ends_itself_and_its_likes_and_nothing_wider(client, cast):
    def made(**limits):
        return tokens.create_token(user=cast["engineer"], name="t", actor=SYSTEM, **limits)

    def revoke(token, secret):
        headers = {"Authorization": f"Bearer {secret}"}
        return client.delete(f"/api/v1/tokens/{token.pk}", headers=headers).status_code

    (reader, secret), (other, _) = made(scopes=["read"]), made(scopes=["read"])
    wide, key = made()
    narrow, _ = made(scope=Scope("growth"))
    assert [revoke(token, secret) for token in (wide, narrow, other, reader)] == [403, 403, 204, 204]
    assert [revoke(token, key) for token in (narrow, wide)] == [204, 204]
    janitor = tokens.create_token(user=cast["admin"], name="j", scopes=["administer", "view"], actor=SYSTEM)[
        1
    ]
    assert revoke(made()[0], janitor) == 204


def test_the_secret_of_a_new_token_is_in_its_answer_and_in_no_table(api):
    answer = api("engineer").post(
        "/api/v1/tokens", {"name": "x", "scopes": ["write"]}, format="json", HTTP_IDEMPOTENCY_KEY="k"
    )
    secret = answer.json()["secret"]
    assert answer["Cache-Control"] == "no-store" and answer.json()["scopes"] == ["view", "register"]
    from django.apps import apps

    for model in apps.get_models():
        assert secret not in str(list(model.objects.values())), model


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user": "nobody", "role": "viewer"}, 404),
        ({"user": "viewer", "role": "king"}, 400),
        ({"user": "viewer", "role": ["viewer"]}, 400),
        ({"role": "viewer"}, 400),
        ({"user": "viewer", "role": "viewer", "team": "a", "model": "churn"}, 400),
        ({"user": "viewer", "role": "viewer", "model": "nothing"}, 404),
        ({"user": "view\x00er", "role": "viewer"}, 400),
        ({"user": "viewer", "role": "viewer", "team": 7}, 400),
    ],
)
def test_a_bad_grant_is_a_problem(api, models, body, status):
    assert api("admin").post("/api/v1/grants", body, format="json").status_code == status


def test_a_grant_names_one_scope(models, outsider):
    with pytest.raises(Invalid, match="not on both"):
        give(outsider, Role.VIEWER, team="growth", model=models["churn"])


def test_roles_are_granted_and_revoked_on_the_page(web, models, outsider):
    client = web("admin")
    said = {"user": "outsider", "role": "engineer", "model": "churn", "reason": "on call"}
    assert client.post("/access/", said).status_code == 302
    page = client.get("/access/?user=outsider").content.decode()
    assert "Engineer" in page and "/models/churn/" in page
    refused = client.post("/access/", said | {"model": "nothing"})
    assert refused.status_code == 400 and "no model named" in refused.content.decode()
    grant = RoleGrant.objects.get(user=outsider)
    assert client.post(f"/access/grants/{grant.pk}/revoke").status_code == 302
    assert not RoleGrant.objects.filter(user=outsider).exists()


def test_a_service_account_is_made_and_ended_on_pages(web, cast):
    client = web("admin")
    made = client.post("/access/service-accounts/", {"name": "ci-churn", "description": "GitHub"})
    assert made["Location"] == "/access/service-accounts/ci-churn/"
    page = client.post(made["Location"], {"name": "main", "expires": "90", "scopes": ["view"], "limit": ""})
    assert "slw_" in page.content.decode()
    token = directory.tokens_page(User.objects.get(username="ci-churn")).items[0]
    assert client.post(f"{made['Location']}tokens/{token.pk}/revoke").status_code == 302
    assert client.post(f"{made['Location']}disable").status_code == 302
    assert client.get(made["Location"]).status_code == 404


def test_a_token_is_limited_on_the_page(web, models, cast):
    client = web("engineer")
    said = {"name": "x", "expires": "30", "limit": "churn"}
    assert client.post("/tokens/", said).status_code == 200
    assert client.post("/tokens/", said | {"limit": "team:growth"}).status_code == 200
    assert client.post("/tokens/", said | {"limit": "nothing"}).status_code == 400
    made = directory.tokens_page(cast["engineer"]).items
    assert [(t.team, t.model and t.model.name) for t in made] == [("growth", None), ("", "churn")]
