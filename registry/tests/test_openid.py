"""Single sign-on at a real OpenID provider: who comes in, with which role, and what is not believed."""

import time
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from registry import checks, services
from registry.adapters import openid
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.errors import Forbidden
from registry.identity import role_of
from registry.models import AuditEntry, OpenIDIdentity
from tests.servers.openid import OpenIDProvider

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running():
    with OpenIDProvider() as provider:
        yield provider


@pytest.fixture
def provider(running, settings):
    openid.forget()
    settings.SLIPWAY_OIDC_ISSUER = running.issuer
    settings.SLIPWAY_OIDC_CLIENT_ID = "slipway"
    settings.SLIPWAY_OIDC_CLIENT_SECRET = "a secret"
    settings.SLIPWAY_OIDC_ROLES = {"ml": "engineer", "readers": "viewer", "ops": "admin"}
    yield running
    openid.forget()


@pytest.fixture
def browser():
    return Client(raise_request_exception=False)


def begun(browser, path="/openid/begin"):
    answer = browser.get(path)
    assert answer.status_code == 302
    return answer["Location"]


def came_back(browser, address):
    return browser.get(address.replace("http://testserver", ""))


def sign_in(browser, provider, subject, **claims):
    provider.person(subject, **claims)
    return came_back(browser, provider.agrees(begun(browser), subject))


def test_somebody_new_comes_in_with_the_role_of_their_group(provider, browser):
    page = browser.get("/login").content.decode()
    assert 'href="/openid/begin"' in page
    answer = sign_in(
        browser,
        provider,
        "u-1",
        preferred_username="ada",
        email="ada@example.com",
        groups=["readers", "ml", "admin"],
    )
    assert (answer.status_code, answer["Location"]) == (302, "/")
    user = User.objects.get(username="ada")
    assert role_of(user) is Role.ENGINEER, "a group that is not in the table gives nothing, whatever its name"
    assert user.email == "ada@example.com"
    assert not user.has_usable_password()
    assert "ada" in browser.get("/models/").content.decode()
    actions = list(AuditEntry.objects.order_by("sequence").values_list("action", "actor_name", "target"))
    assert actions == [("account.create", "ada", "users/ada"), ("role.follow", "ada", "users/ada")]


def test_roles_follow_the_groups_at_each_sign_in(provider, browser, settings):
    settings.SLIPWAY_OIDC_ROLES = {"ml-releases": "release_manager", "ml-people": "viewer"}
    groups = ["ml-people", "ml-releases", "ops"]
    sign_in(browser, provider, "u-2", preferred_username="grace", groups=groups)
    assert role_of(User.objects.get(username="grace")) is Role.RELEASE_MANAGER
    sign_in(Client(), provider, "u-2", preferred_username="grace", groups="ml-people")
    assert role_of(User.objects.get(username="grace")) is Role.VIEWER
    sign_in(Client(), provider, "u-2", preferred_username="grace")
    assert role_of(User.objects.get(username="grace")) is None
    assert browser.get("/models/").status_code == 403, "the session that was there before too"


def test_who_somebody_is_rests_on_the_subject_and_not_on_the_name(provider, browser):
    sign_in(browser, provider, "u-3", preferred_username="mary", email="mary@example.com", groups=["readers"])
    sign_in(browser, provider, "u-3", preferred_username="renamed", groups=["readers"])
    assert User.objects.filter(openid_identity__subject="u-3").get().username == "mary"
    again = sign_in(Client(), provider, "u-4", preferred_username="mary", email="mary@example.com")
    assert again.status_code == 409 and OpenIDIdentity.objects.filter(subject="u-4").count() == 0


def test_an_account_with_a_password_is_nobodys_until_it_is_linked(provider, browser, cast):
    taken = sign_in(browser, provider, "u-5", preferred_username="admin", groups=["readers"])
    assert taken.status_code == 409 and "link_identity" in taken.content.decode()
    call_command("link_identity", "admin", "u-5")
    assert sign_in(browser, provider, "u-5", preferred_username="x", groups=["readers"]).status_code == 302
    assert role_of(cast["admin"]) is Role.ADMIN, "what people granted stays"
    with pytest.raises(CommandError, match="linked already"):
        call_command("link_identity", "viewer", "u-5")
    services.create_service_account(name="ci", actor=SYSTEM)
    with pytest.raises(CommandError, match="service account"):
        call_command("link_identity", "ci", "u-6")


def test_a_disabled_user_stays_out(provider, browser):
    sign_in(browser, provider, "u-7", preferred_username="gone", groups=["readers"])
    User.objects.filter(username="gone").update(is_active=False)
    other = Client()
    assert sign_in(other, provider, "u-7", groups=["readers"]).status_code == 403
    assert other.get("/models/").status_code == 302


@pytest.mark.parametrize(
    "lie",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another-client"},
        {"aud": ["slipway", "another-client"]},
        {"azp": "another-client"},
        {"nonce": "of another sign-in"},
        {"exp": 1_000_000_000},
    ],
    ids=lambda lie: "-".join(lie),
)
def test_a_token_that_is_not_for_this_sign_in_is_not_believed(provider, browser, lie):
    answer = sign_in(browser, provider, "liar", preferred_username="liar", groups=["ops"], **lie)
    assert answer.status_code == 403 and "was not believed" in answer.content.decode()
    assert not User.objects.exists() and browser.get("/models/").status_code == 302


@pytest.mark.parametrize("how", ["another key", "none", "shared secret"])
def test_only_the_providers_own_signature_counts(provider, how):
    metadata = openid.provider(provider.issuer)
    now = int(time.time())
    claims = {"iss": provider.issuer, "aud": "slipway", "sub": "x", "nonce": "n", "iat": now, "exp": now + 60}
    known = openid._document(metadata["jwks_uri"])["keys"][0]
    if how == "another key":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        token = jwt.encode(claims, key, "RS256", headers={"kid": known.get("kid")})
    elif how == "none":
        token = jwt.encode(claims, None, "none")
    else:
        token = jwt.encode(claims, known["n"], "HS256", headers={"kid": known.get("kid")})
    with pytest.raises(Forbidden, match="not believed"):
        openid.checked(token, metadata=metadata, client="slipway", nonce="n")


def test_a_code_is_worth_nothing_in_another_browser(provider, browser):
    """Neither the state nor the verifier of PKCE is there; the provider insists on the latter."""
    provider.person("u-8", preferred_username="eve", groups=["ops"])
    stolen = provider.agrees(begun(browser), "u-8")
    other = Client(raise_request_exception=False)
    begun(other)
    assert came_back(other, stolen).status_code == 400
    mixed = parse_qs(urlsplit(begun(other)).query)["state"][0]
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    assert came_back(other, f"/openid/callback?code={code}&state={mixed}").status_code == 403
    assert not User.objects.exists()


def test_an_answer_is_taken_once(provider, browser):
    provider.person("u-9", preferred_username="once", groups=["readers"])
    address = provider.agrees(begun(browser), "u-9")
    assert came_back(browser, address).status_code == 302
    assert came_back(browser, address).status_code == 400


def test_who_is_refused_by_the_provider_is_told_so(provider, browser):
    answer = came_back(browser, provider.denies(begun(browser)))
    assert answer["Location"] == "/login"
    assert "did not agree" in browser.get("/login").content.decode()


@pytest.mark.parametrize(
    ("wanted", "reached"), [("/audit/", "/audit/"), ("https://elsewhere.example/", "/"), ("//e.example", "/")]
)
def test_the_way_leads_back_to_where_it_began_and_nowhere_else(provider, browser, wanted, reached):
    provider.person("u-10", preferred_username="back", groups=["readers"])
    address = provider.agrees(begun(browser, f"/openid/begin?next={wanted}"), "u-10")
    assert came_back(browser, address)["Location"] == reached


def test_signing_out_ends_the_session_here_and_at_the_provider(provider, browser):
    sign_in(browser, provider, "u-11", preferred_username="bye", groups=["readers"])
    answer = browser.post("/logout")
    place = urlsplit(answer["Location"])
    assert f"{place.scheme}://{place.netloc}" == provider.issuer
    said = parse_qs(place.query)
    assert said["post_logout_redirect_uri"] == ["http://testserver/login"] and said["id_token_hint"]
    assert browser.get("/models/").status_code == 302


def test_a_provider_that_is_away_is_a_page_and_passwords_go_on(provider, browser, settings, cast):
    settings.SLIPWAY_OIDC_ISSUER = "http://127.0.0.1:9"
    answer = browser.get("/openid/begin")
    assert answer.status_code == 503 and "identity provider" in answer.content.decode()
    cast["viewer"].set_password("a long password")
    cast["viewer"].save()
    told = browser.post("/login", {"username": "viewer", "password": "a long password"})
    assert told.status_code == 302 and browser.get("/models/").status_code == 200


def test_a_provider_of_another_name_is_not_ours(provider, browser, settings):
    settings.SLIPWAY_OIDC_ISSUER = provider.issuer.replace("127.0.0.1", "localhost")
    answer = browser.get("/openid/begin")
    # It calls itself by the host that it was asked under, so it agrees here ...
    assert answer.status_code == 302
    openid._remembered[f"{provider.issuer}/.well-known/openid-configuration"] = openid._Remembered(
        time.monotonic(), openid.provider(settings.SLIPWAY_OIDC_ISSUER)
    )
    settings.SLIPWAY_OIDC_ISSUER = provider.issuer
    assert browser.get("/openid/begin").status_code == 503, "... and not when its word is another's"


def test_without_a_provider_there_is_no_button_and_no_way(browser):
    assert "openid" not in browser.get("/login").content.decode()
    assert browser.get("/openid/begin").status_code == 404


def test_half_a_configuration_is_reported_at_start(settings):
    assert checks.check_openid() == []
    settings.SLIPWAY_OIDC_ISSUER = "http://idp.example"
    settings.SLIPWAY_OIDC_ROLES = {"people": "king"}
    found = checks.check_openid()
    assert [message.id for message in found] == ["registry.E006", "registry.E006", "registry.E007"]
    assert all(message.hint for message in found)
