"""Single sign-on with OpenID Connect: the authorization code flow with state, nonce and PKCE.

mozilla-django-oidc walks the flow; whom to believe is decided in `registry.adapters.openid`, and who they are
in `registry.services.people`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from mozilla_django_oidc import views
from mozilla_django_oidc.utils import absolutify

from registry import services
from registry.adapters import openid
from registry.domain.actor import Actor
from registry.identity import client_address

_CALLBACK = "registry:openid-callback"
_ID_TOKEN = "openid_id_token"


def configured(attr: str, *default: Any) -> Any:
    """A setting as mozilla-django-oidc asks for it, from the provider's own word where it has one."""
    fixed = {
        "OIDC_RP_CLIENT_ID": settings.SLIPWAY_OIDC_CLIENT_ID,
        "OIDC_RP_SCOPES": " ".join(settings.SLIPWAY_OIDC_SCOPES),
        "OIDC_AUTHENTICATION_CALLBACK_URL": _CALLBACK,
        "OIDC_USE_PKCE": True,
        "LOGIN_REDIRECT_URL": settings.LOGIN_REDIRECT_URL,
    }
    if attr == "OIDC_OP_AUTHORIZATION_ENDPOINT":
        return openid.provider(settings.SLIPWAY_OIDC_ISSUER)["authorization_endpoint"]
    return fixed[attr] if attr in fixed else default[0]


class OpenIDBackend(ModelBackend):
    """Signs in whoever the provider vouches for in its answer to a sign-in that this browser began."""

    def authenticate(  # type: ignore[override]
        self, request: HttpRequest | None, nonce: str = "", code_verifier: str = "", **_: Any
    ) -> User | None:
        if request is None or not settings.SLIPWAY_OIDC_ISSUER or not nonce or not code_verifier:
            return None
        metadata = openid.provider(settings.SLIPWAY_OIDC_ISSUER)
        given = openid.tokens(
            metadata["token_endpoint"],
            {
                "grant_type": "authorization_code",
                "client_id": settings.SLIPWAY_OIDC_CLIENT_ID,
                "client_secret": settings.SLIPWAY_OIDC_CLIENT_SECRET,
                "code": request.GET["code"],
                "code_verifier": code_verifier,
                "redirect_uri": absolutify(request, reverse(_CALLBACK)),
            },
        )
        claims = openid.checked(
            given["id_token"], metadata=metadata, client=settings.SLIPWAY_OIDC_CLIENT_ID, nonce=nonce
        )
        claims = openid.of_person(given["access_token"], claims, metadata)
        user = services.sign_on(
            issuer=settings.SLIPWAY_OIDC_ISSUER,
            subject=claims["sub"],
            username=_text(claims, settings.SLIPWAY_OIDC_USERNAME_CLAIM) or claims["sub"],
            email=_text(claims, "email"),
            roles=roles_of(claims.get(settings.SLIPWAY_OIDC_GROUPS_CLAIM)),
            actor=Actor(kind="user", name="", address=client_address(request.META)),
        )
        request.session[_ID_TOKEN] = given["id_token"]
        return user


def roles_of(groups: Any) -> list[str]:
    """The roles that `SLIPWAY_OIDC_ROLES` gives to the provider's groups; a group that it does not name gives
    none, whatever it is called."""
    named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    table: dict[str, str] = settings.SLIPWAY_OIDC_ROLES
    return [table[group] for group in named if isinstance(group, str) and group in table]


class Begin(views.OIDCAuthenticationRequestView):  # type: ignore[misc]
    """To the provider, with what its answer must fit."""

    get_settings = staticmethod(configured)


class Callback(views.OIDCAuthenticationCallbackView):  # type: ignore[misc]
    """Back from the provider."""

    get_settings = staticmethod(configured)

    def login_success(self) -> HttpResponse:
        token = self.request.session.get(_ID_TOKEN)
        answer: HttpResponse = super().login_success()
        # A new session when it was somebody else's.
        self.request.session[_ID_TOKEN] = token
        self.request.session.set_expiry(settings.SLIPWAY_OIDC_SESSION_SECONDS)
        return answer

    def login_failure(self) -> HttpResponse:
        messages.error(self.request, "You were not signed in: the identity provider did not agree.")
        return redirect("registry:login")


@never_cache
def begin(request: HttpRequest) -> HttpResponse:
    """The way to the provider; 404 when there is none."""
    return _answered(Begin, request)


@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """The way back; 404 when there is no provider."""
    return _answered(Callback, request)


class SignIn(LoginView):
    """With a password, or at the provider."""

    template_name = "registry/login.html"
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {
            "openid": settings.SLIPWAY_OIDC_NAME if settings.SLIPWAY_OIDC_ISSUER else ""
        }


class SignOut(LogoutView):
    """Out of Slipway, and at the provider for whoever came from there (RP-Initiated Logout 1.0)."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        token = request.session.get(_ID_TOKEN)
        answer = super().post(request, *args, **kwargs)
        if not token or not settings.SLIPWAY_OIDC_ISSUER:
            return answer
        end = openid.provider(settings.SLIPWAY_OIDC_ISSUER).get("end_session_endpoint")
        if not isinstance(end, str):
            return answer
        back = absolutify(request, reverse("registry:login"))
        said = {"id_token_hint": token, "post_logout_redirect_uri": back}
        return redirect(f"{end}?{urlencode(said)}")


def _answered(view: Any, request: HttpRequest) -> HttpResponse:
    if not settings.SLIPWAY_OIDC_ISSUER:
        raise Http404("There is no identity provider.")
    answer: HttpResponse = view.as_view()(request)
    return answer


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
