"""Adding a person, and changing one's own password."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from registry import services
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.identity import role_of
from registry.models import AuditEntry

pytestmark = pytest.mark.django_db
ADD = "/access/people/new"


def password_in(answer):
    return re.search('<pre id="secret">(.+)</pre>', answer.content.decode())[1]


def test_a_person_who_was_added_signs_in_with_the_password_shown_once(web):
    admin = web("admin")
    answer = admin.post(ADD, {"name": "ada", "email": "ada@example.org", "role": "engineer", "reason": "new"})
    password = password_in(answer)
    assert password not in admin.get(ADD).content.decode()
    person = Client()
    assert person.post("/login", {"username": "ada", "password": password}).status_code == 302
    assert person.get("/models/").status_code == 200
    assert role_of(User.objects.get(username="ada")) is Role.ENGINEER
    made, granted = AuditEntry.objects.filter(target="users/ada").order_by("sequence")
    assert (made.action, made.actor_name, made.reason) == ("account.create", "admin", "new")
    assert granted.action == "role.grant" and password not in str(vars(made))


def test_a_person_may_be_added_without_a_role(web):
    web("admin").post(ADD, {"name": "ada", "role": ""})
    ada = User.objects.get(username="ada")
    assert role_of(ada) is None and not ada.is_staff and not ada.is_superuser


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"name": "viewer"}, "already"),
        ({"name": "a b"}, "cannot name a person"),
        ({"name": ""}, "required"),
        ({"name": "x" * 151}, "150"),
        ({"name": "ada", "email": "nowhere"}, "valid email"),
        ({"name": "ada", "role": "emperor"}, "valid choice"),
    ],
)
def test_what_cannot_be_a_person_is_said_at_its_field(web, said, message):
    before = User.objects.count()
    answer = web("admin").post(ADD, said)
    assert answer.status_code == 400 and message in answer.content.decode()
    assert User.objects.count() == before


def test_the_access_page_leads_administrators_of_everything_to_adding_people(web, model):
    services.grant_role(
        user=User.objects.get(username="outsider"), role=Role.ADMIN, model=model, actor=SYSTEM
    )
    assert ADD in web("admin").get("/access/").content.decode()
    of_one_model = web("outsider").get("/access/").content.decode()
    assert ADD not in of_one_model and "an administrator of everything adds people" in of_one_model


def test_with_single_sign_on_the_form_says_who_need_not_be_added(web, settings):
    settings.SLIPWAY_OIDC_ISSUER, settings.SLIPWAY_OIDC_NAME = "https://id.example.org", "Example ID"
    assert "sign in with Example ID need not be added" in web("admin").get(ADD).content.decode()


def test_people_change_their_own_password_and_other_sessions_end(db):
    ada = services.create_person(name="ada", password="first password", role=Role.VIEWER, actor=SYSTEM)
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.force_login(ada)
    chosen = "second password"
    said = {"old_password": "first password", "new_password1": chosen, "new_password2": chosen}
    assert here.post("/password", said | {"old_password": "wrong"}).status_code == 400
    assert here.post("/password", said | {"new_password2": "other"}).status_code == 400
    assert here.post("/password", said).status_code == 302
    assert here.get("/tokens/").status_code == 200
    assert elsewhere.get("/tokens/").status_code == 302
    assert User.objects.get(username="ada").check_password(chosen)
    entry = AuditEntry.objects.get(action="account.password")
    assert entry.actor_name == "ada" and chosen not in str(vars(entry))


def test_who_signs_in_elsewhere_has_no_password_to_change(web, cast):
    cast["viewer"].set_unusable_password()
    cast["viewer"].save()
    client = web("viewer")
    assert "at the identity provider" in client.get("/password").content.decode()
    assert "Change password" not in client.get("/tokens/").content.decode()
