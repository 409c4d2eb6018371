"""Every route of the registry against every role: the answer each may expect.

A route that is not in the table fails the test, so nobody adds one without deciding who may use it.
"""

from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import get_resolver

from registry.domain.roles import Permission, permissions
from registry.tests import onnx_files
from registry.tests.conftest import CAST

VIEW, REGISTER, PROMOTE, ADMINISTER = (
    Permission.VIEW, Permission.REGISTER, Permission.PROMOTE, Permission.ADMINISTER,
)  # fmt: skip
ANYONE, SIGNED_IN = "anyone", "signed in"

API = [
    ("me", "GET", SIGNED_IN, {}),
    ("models", "GET", VIEW, {}),
    ("models", "POST", REGISTER, {"name": "fresh"}),
    ("model", "GET", VIEW, {}),
    ("model", "PATCH", REGISTER, {"description": "x"}),
    ("model", "DELETE", ADMINISTER, {}),
    ("aliases", "GET", VIEW, {}),
    ("alias", "GET", VIEW, {}),
    ("alias", "PUT", PROMOTE, {"version": 1}),
    ("alias", "DELETE", PROMOTE, {}),
    ("versions", "GET", VIEW, {}),
    ("versions", "POST", REGISTER, "upload"),
    ("version", "GET", VIEW, {}),
    ("version", "PATCH", REGISTER, {"notes": "x"}),
    ("version", "DELETE", ADMINISTER, {}),
    ("artifact", "GET", VIEW, {}),
    ("uploads", "POST", REGISTER, {"size": 9}),
    ("upload", "GET", REGISTER, {}),
    ("upload", "DELETE", REGISTER, {}),
    ("upload-part", "GET", REGISTER, {}),
    ("upload-part", "PUT", REGISTER, {}),
    ("upload-complete", "POST", REGISTER, {}),
    ("retention", "GET", VIEW, {}),
    ("retention", "PUT", ADMINISTER, {"keep": 3}),
    ("retention", "POST", ADMINISTER, {}),
    ("files", "GET", VIEW, {}),
    ("file", "GET", VIEW, {}),
    ("profile", "GET", VIEW, {}),
    ("profile", "POST", REGISTER, "reference"),
    ("lineage", "GET", VIEW, {}),
    ("search", "GET", VIEW, {}),
    ("metrics", "GET", VIEW, {"name": "rmse"}),
    ("metrics", "POST", REGISTER, {"points": [{"name": "auc", "value": 1}]}),
    ("grants", "GET", ADMINISTER, {}),
    ("grants", "POST", ADMINISTER, {"user": "outsider", "role": "viewer"}),
    ("grant", "DELETE", ADMINISTER, {}),
    ("accounts", "GET", ADMINISTER, {}),
    ("accounts", "POST", ADMINISTER, {"name": "ci-new"}),
    ("account", "GET", ADMINISTER, {}),
    ("account", "DELETE", ADMINISTER, {}),
    ("account-tokens", "GET", ADMINISTER, {}),
    ("account-tokens", "POST", ADMINISTER, {"name": "x"}),
    ("tokens", "GET", VIEW, {}),
    ("tokens", "POST", VIEW, {"name": "x"}),
    ("token", "GET", VIEW, {}),
    ("token", "DELETE", VIEW, {}),
    ("audit", "GET", VIEW, {}),
    ("audit-export", "GET", ADMINISTER, {}),
    ("audit-verify", "GET", PROMOTE, {}),
]
WEB = [
    ("login", "GET", ANYONE),
    ("logout", "POST", ANYONE),
    ("openid-begin", "GET", ANYONE),
    ("openid-callback", "GET", ANYONE),
    ("models", "GET", VIEW),
    ("new-model", "GET", REGISTER),
    ("new-model", "POST", REGISTER),
    ("model", "GET", VIEW),
    ("change-model", "GET", REGISTER),
    ("change-model", "POST", REGISTER),
    ("delete-model", "GET", ADMINISTER),
    ("delete-model", "POST", ADMINISTER),
    ("delete-alias", "GET", PROMOTE),
    ("delete-alias", "POST", PROMOTE),
    ("compare", "GET", VIEW),
    ("metrics", "GET", VIEW),
    ("annotate", "GET", REGISTER),
    ("annotate", "POST", REGISTER),
    ("set-alias", "GET", REGISTER),
    ("set-alias", "POST", REGISTER),
    ("delete-version", "GET", ADMINISTER),
    ("delete-version", "POST", ADMINISTER),
    ("retention", "GET", VIEW),
    ("set-retention", "POST", ADMINISTER),
    ("apply-retention", "POST", ADMINISTER),
    ("new-version", "GET", REGISTER),
    ("new-version", "POST", REGISTER),
    ("version", "GET", VIEW),
    ("artifact", "GET", VIEW),
    ("file", "GET", VIEW),
    ("profile", "POST", REGISTER),
    ("search", "GET", VIEW),
    ("progress", "GET", VIEW),
    ("audit", "GET", VIEW),
    ("audit-check", "GET", PROMOTE),
    ("tokens", "GET", VIEW),
    ("tokens", "POST", VIEW),
    ("revoke-token", "POST", VIEW),
    ("access", "GET", ADMINISTER),
    ("access", "POST", ADMINISTER),
    ("revoke-grant", "POST", ADMINISTER),
    ("new-person", "GET", ADMINISTER),
    ("new-person", "POST", ADMINISTER),
    ("password", "GET", VIEW),
    ("password", "POST", VIEW),
    ("accounts", "GET", ADMINISTER),
    ("accounts", "POST", ADMINISTER),
    ("account", "GET", ADMINISTER),
    ("account", "POST", ADMINISTER),
    ("disable-account", "POST", ADMINISTER),
    ("revoke-account-token", "POST", ADMINISTER),
]
ALIAS = "champion"


def path_of(namespace, name):
    """The route filled in with the version of the fixtures."""
    pattern = get_resolver().namespace_dict[namespace][1].reverse_dict.getlist(name)[0][0][0][0]
    prefix = get_resolver().namespace_dict[namespace][0]
    return (
        "/"
        + prefix
        + pattern
        % {
            "name": "churn",
            "number": 1,
            "alias": ALIAS,
            "pk": 999_999,
            "account": "ci",
            "path": "a/b",
            "upload": UUID(int=0),
        }
    )


def names_in(namespace):
    return {key for key in get_resolver().namespace_dict[namespace][1].reverse_dict if isinstance(key, str)}


def test_the_table_names_every_route():
    assert {row[0] for row in API} == names_in("registry-api")
    assert {row[0] for row in WEB} == names_in("registry")


def allowed(who, needed):
    if needed == ANYONE:
        return True
    if needed == SIGNED_IN:
        return who is not None
    return who is not None and needed in permissions(CAST[who])


@pytest.fixture
def account(db):
    from registry import services
    from registry.domain.actor import SYSTEM

    return services.create_service_account(name="ci", actor=SYSTEM)


@pytest.fixture
def champion(version, model):
    from registry import services
    from registry.domain.actor import SYSTEM

    if ALIAS not in {alias.name for alias in model.aliases.all()}:
        services.set_alias(model=model, name=ALIAS, version=version, actor=SYSTEM)


@pytest.mark.parametrize("who", [*CAST, None], ids=str)
@pytest.mark.parametrize(("name", "method", "needed", "body"), API, ids=lambda v: str(v)[:12])
def test_the_api_answers_each_role_as_the_table_says(api, champion, account, who, name, method, needed, body):
    client, url = api(who), path_of("registry-api", name)
    if body == "upload":
        content = SimpleUploadedFile("m.onnx", onnx_files.linear().SerializeToString())
        answer = client.post(url, {"artifact": content}, format="multipart")
    elif body == "reference":
        content = SimpleUploadedFile("r.npz", onnx_files.reference(X=[[1.0, 2.0, 3.0]]))
        answer = client.post(url, {"reference": content}, format="multipart")
    elif method == "GET":
        answer = client.get(url, body)
    else:
        answer = getattr(client, method.lower())(url, body, format="json")
    answer.close()
    if who is None:
        assert answer.status_code == 401
    elif not allowed(who, needed):
        assert answer.status_code == 403
    elif name in {"grant", "token", "file"} or name.startswith("upload-") or name == "upload":
        assert answer.status_code == 404, "none of that number"
    elif name == "profile" and method == "POST":
        assert answer.status_code == 409, "registered with a reference set"
    elif name == "version" and method == "DELETE":
        assert answer.status_code == 409, "the champion alias points at it"
    else:
        assert answer.status_code in {200, 201, 204}


@pytest.mark.parametrize("who", [*CAST, None], ids=str)
@pytest.mark.parametrize(("name", "method", "needed"), WEB, ids=lambda v: str(v)[:12])
def test_the_pages_answer_each_role_as_the_table_says(
    web, version, account, who, name, method, needed, request
):
    if name == "delete-alias":
        request.getfixturevalue("champion")
    url = path_of("registry", name)
    answer = getattr(web(who), method.lower())(url)
    answer.close()
    if who is None and needed != ANYONE:
        assert answer.status_code == 302 and answer["Location"].startswith("/login?next=")
    elif not allowed(who, needed):
        assert answer.status_code == 403
    elif name in {"revoke-token", "revoke-grant", "revoke-account-token", "file"}:
        assert answer.status_code == 404, "none of that number"
    elif name in {"delete-alias", "delete-model", "delete-version"} and method == "POST":
        assert answer.status_code == 302
    elif name in {"disable-account", "apply-retention", "change-model", "annotate"} and method == "POST":
        assert answer.status_code == 302, "nothing in it is required"
    elif name in {"login", "logout"}:
        assert answer.status_code in {200, 302}
    elif name.startswith("openid-"):
        assert answer.status_code == 404, "no identity provider is set"
    else:
        assert answer.status_code == (200 if method == "GET" else 400), "an empty form is shown again"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", sorted({row[0] for row in API}))
def test_a_method_a_route_does_not_have_changes_nothing(api, version, name, method):
    if any(row[0] == name and row[1] == method for row in API):
        pytest.skip("the route has this method")
    answer = getattr(api("admin"), method.lower())(path_of("registry-api", name), {}, format="json")
    assert answer.status_code == 405
