"""The page that puts a model into service, and the ways that lead there."""

from __future__ import annotations

import pytest
from django.utils import timezone

from registry.domain.actor import SYSTEM
from registry.models import AuditEntry, Model, RoleGrant, Version
from rollouts import services
from rollouts.errors import Conflict
from rollouts.models import Endpoint, Environment

pytestmark = pytest.mark.django_db
NEW = "/endpoints/-/new"
TYPED = {
    "model": "churn",
    "environment": "production",
    "version": "1",
    "name": "churn-production",
    "replicas": "2",
    "reason": "first release",
}


@pytest.fixture
def production(versions) -> Environment:
    return services.create_environment(name="production", actor=SYSTEM)


@pytest.fixture
def pickle(versions) -> Version:
    return Version.objects.create(
        model=versions[0].model, number=4, digest=f"sha256:{4:064x}", size=10, format="pickle"
    )


@pytest.fixture
def manager(as_user):
    return as_user("release_manager")


def test_a_release_manager_puts_a_model_into_service(manager, production):
    response = manager.post(NEW, TYPED)
    assert response.url == "/endpoints/churn-production/"
    made = Endpoint.objects.get()
    assert (made.stable.version.number, made.replicas, made.environment.name) == (1, 2, "production")
    entry = AuditEntry.objects.get(action="endpoint.create")
    assert (entry.actor_name, entry.reason) == ("release_manager", "first release")
    assert b"its first version takes the traffic" in manager.get(response.url).content


def test_the_form_begins_with_what_is_known(manager, production):
    page = manager.get(f"{NEW}?model=churn&version=2").content.decode()
    assert 'value="churn-production"' in page and '<option value="2" selected>' in page


def test_without_a_model_the_page_asks_for_one(manager, production):
    page = manager.get(NEW).content.decode()
    assert '<option value="churn">churn</option>' in page and "First version" not in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Churn Production"}, "cannot be used as a name. Use up to 53 lower-case"),
        ({"name": ""}, "This field is required."),
        ({"replicas": "0"}, "greater than or equal to 1"),
        ({"replicas": "many"}, "Enter a whole number"),
        ({"version": "9"}, "Select a valid choice"),
        ({"version": "x"}, "Select a valid choice"),
        ({"environment": "moon"}, "Select a valid choice"),
    ],
)
def test_a_mistake_is_shown_at_its_field_and_makes_nothing(manager, production, change, message):
    response = manager.post(NEW, TYPED | change)
    assert response.status_code == 422 and message in response.content.decode()
    field = next(iter(change))
    assert set(response.context["form"].errors) == {field}
    assert not Endpoint.objects.exists()


def test_a_name_that_is_taken_is_said_at_the_name(manager, endpoint):
    other = Model.objects.create(name="wine", last_number=1)
    Version.objects.create(model=other, number=1, digest=f"sha256:{7:064x}", size=10, format="onnx")
    response = manager.post(NEW, TYPED | {"model": "wine"})
    assert response.context["form"].errors["name"] == ["There is an endpoint 'churn-production' already."]


def test_a_model_that_is_served_everywhere_gets_a_rollout_instead(manager, endpoint):
    page = manager.get(f"{NEW}?model=churn").content.decode()
    assert "churn has an endpoint in every environment" in page and "/rollouts/new?model=churn" in page


def test_a_second_endpoint_in_an_environment_is_refused_at_the_environment(endpoint, versions):
    with pytest.raises(Conflict, match="has an endpoint in production already") as refused:
        services.create_endpoint(
            name="other", environment=endpoint.environment, version=versions[0], actor=SYSTEM
        )
    assert refused.value.field == "environment"


def test_without_an_environment_the_page_leads_to_making_one(as_user, versions):
    page = as_user("release_manager").get(f"{NEW}?model=churn").content.decode()
    assert "An administrator creates one" in page and "/environments/-/new" not in page
    assert "/environments/-/new" in as_user("admin").get(f"{NEW}?model=churn").content.decode()


def test_what_no_server_runs_is_not_offered_and_said_why(manager, production, pickle):
    page = manager.get(f"{NEW}?model=churn").content.decode()
    assert "v4 is not offered: it is pickle as a single file" in page and '<option value="4">' not in page
    Version.objects.exclude(pk=pickle.pk).update(deleted_at=timezone.now())
    page = manager.get(f"{NEW}?model=churn").content.decode()
    assert "has no version that can be put into service" in page and "/models/churn/versions/new" in page


def test_a_manager_of_one_model_sees_that_one_only(as_user, production):
    client = as_user("outsider")
    for name, role in (("churn", "release_manager"), ("wine", "engineer")):
        model, _ = Model.objects.get_or_create(name=name)
        RoleGrant.objects.create(user_id=client.session["_auth_user_id"], role=role, model=model)
    page = client.get(NEW).content.decode()
    assert "churn" in page and "wine" not in page
    assert client.get(f"{NEW}?model=wine").status_code == 403
    assert client.post(NEW, TYPED | {"model": "wine"}).status_code == 403


DOORS = ["/", "/endpoints/", "/rollouts/new", "/rollouts/new?model=churn", "/rollouts/live?model=churn"]


@pytest.mark.parametrize("door", DOORS)
def test_every_dead_end_leads_on_those_who_may_and_names_them_to_the_rest(as_user, versions, door):
    manager = as_user("release_manager").get(door).content.decode()
    assert f'href="{NEW}' in manager and "POST /api" not in manager
    engineer = as_user("engineer").get(door).content.decode()
    assert NEW not in engineer and "Release managers and administrators create endpoints" in engineer


def test_a_version_that_no_server_runs_is_no_candidate(as_user, endpoint, pickle):
    page = as_user("engineer").get("/rollouts/new?endpoint=churn-production&version=4").content.decode()
    assert '<option value="4"' not in page and '<option value="2"' in page
    assert "v4 is not offered: it is pickle as a single file" in page


def test_its_page_says_why_instead_of_offering_a_rollout(as_user, endpoint, pickle):
    engineer = as_user("engineer")
    page = engineer.get("/models/churn/versions/4/").content.decode()
    assert "no rollout is offered: it is pickle as a single file" in page
    assert "/rollouts/new?model=churn&amp;version=4" not in page
    rows = engineer.get("/models/churn/").content.decode()
    assert "no server runs it" in rows and "version=4" not in rows and "version=3" in rows


def test_a_model_without_another_version_says_what_to_do(as_user, endpoint, versions):
    Version.objects.exclude(number=1).update(deleted_at=timezone.now())
    page = as_user("engineer").get("/rollouts/new?endpoint=churn-production").content.decode()
    assert "has no other version that can be put into service here" in page
