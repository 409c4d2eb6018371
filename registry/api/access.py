"""Roles, service accounts and tokens over REST."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.contrib.auth.models import User
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from registry import directory, queries, services, tokens
from registry.api import serializers
from registry.api.base import RegistryView, body_of, limit_of, number_of, paged, reason_of, text_of
from registry.api.documents import account_document, grant_document, token_document
from registry.api.idempotency import IDEMPOTENCY_KEY, idempotent
from registry.domain.access import Scope
from registry.domain.moments import moment_of
from registry.domain.names import team_name
from registry.domain.roles import Permission, parse_role
from registry.domain.text import clean_line, clean_lines
from registry.errors import Invalid
from registry.identity import governed, may, require, token_of
from registry.models import ApiToken, Model

PAGE_PARAMETERS = [
    OpenApiParameter("after", str, description="`next` of the page before."),
    OpenApiParameter("limit", int),
]
_REASON = OpenApiParameter("reason", str, description="Why, for the audit trail.")


class Grants(RegistryView):
    """Who holds which role where, as far as the caller administers it."""

    permissions = {"GET": Permission.ADMINISTER, "POST": Permission.ADMINISTER}

    @extend_schema(
        operation_id="grants_list",
        parameters=[OpenApiParameter("user", str), *PAGE_PARAMETERS],
        responses=serializers.GrantList,
    )
    def get(self, request: Request) -> Response:
        page = directory.grants_page(
            within=governed(request.user),
            limit=limit_of(request),
            after=number_of(request, "after"),
            user=text_of(request, "user"),
        )
        return paged(page, [grant_document(grant) for grant in page.items])

    @extend_schema(
        operation_id="grants_add",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.GrantIn,
        responses={201: serializers.GrantOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = body_of(request, "user", "role", "team", "model", "reason")
        team, model = _place(body)
        require(request.user, Permission.ADMINISTER, model or Scope(team=team))
        grant = services.grant_role(
            user=directory.user_by_name(
                clean_line(body.get("user"), field="user", maximum=150, required=True)
            ),
            role=parse_role(body.get("role")),
            team=team,
            model=model,
            actor=self.actor,
            reason=reason_of(body),
        )
        return Response(grant_document(grant), status=status.HTTP_201_CREATED)


class OneGrant(RegistryView):
    """One role of one user."""

    permissions = {"DELETE": Permission.ADMINISTER}

    @extend_schema(operation_id="grants_revoke", parameters=[_REASON], responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        grant = directory.grant_by_id(pk)
        require(request.user, Permission.ADMINISTER, grant.model or Scope(team=grant.team))
        services.revoke_role(grant=grant, actor=self.actor, reason=text_of(request, "reason"))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Accounts(RegistryView):
    """Service accounts: users that are no person and act through their tokens only."""

    everywhere = True
    permissions = {"GET": Permission.ADMINISTER, "POST": Permission.ADMINISTER}

    @extend_schema(
        operation_id="accounts_list", parameters=PAGE_PARAMETERS, responses=serializers.AccountList
    )
    def get(self, request: Request) -> Response:
        page = directory.service_accounts_page(limit=limit_of(request), after=text_of(request, "after"))
        return paged(page, [account_document(account) for account in page.items])

    @extend_schema(
        operation_id="accounts_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.AccountIn,
        responses={201: serializers.AccountOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = body_of(request, "name", "description", "reason")
        account = services.create_service_account(
            name=body.get("name", ""),
            description="" if body.get("description") is None else body["description"],
            actor=self.actor,
            reason=reason_of(body),
        )
        return Response(account_document(account), status=status.HTTP_201_CREATED)


class OneAccount(RegistryView):
    """One service account."""

    everywhere = True
    permissions = {"GET": Permission.ADMINISTER, "DELETE": Permission.ADMINISTER}

    @extend_schema(operation_id="accounts_get", responses=serializers.AccountOut)
    def get(self, request: Request, account: str) -> Response:
        return Response(account_document(directory.service_account(account)))

    @extend_schema(operation_id="accounts_disable", parameters=[_REASON], responses={204: None})
    def delete(self, request: Request, account: str) -> Response:
        found = directory.service_account(account)
        services.disable_service_account(account=found, actor=self.actor, reason=text_of(request, "reason"))
        return Response(status=status.HTTP_204_NO_CONTENT)


class Tokens(RegistryView):
    """One's own tokens. A token's secret is in the answer that makes it and nowhere else, so an
    `Idempotency-Key`, which would keep the answer, is not read here."""

    permissions = {"POST": Permission.VIEW}

    def owner(self, request: Request, account: str) -> User:
        return cast(User, request.user)

    @extend_schema(operation_id="tokens_list", parameters=PAGE_PARAMETERS, responses=serializers.TokenList)
    def get(self, request: Request, account: str = "") -> Response:
        page = directory.tokens_page(
            self.owner(request, account), limit=limit_of(request), after=number_of(request, "after")
        )
        now = timezone.now()
        return paged(page, [token_document(token, now) for token in page.items])

    @extend_schema(
        operation_id="tokens_create", request=serializers.TokenIn, responses={201: serializers.TokenMade}
    )
    def post(self, request: Request, account: str = "") -> Response:
        body = body_of(request, "name", "scopes", "team", "model", "expires_at", "reason")
        team, model = _place(body)
        if model is not None:
            require(request.user, Permission.VIEW, model)
        scopes = body.get("scopes")
        token, secret = tokens.create_token(
            user=self.owner(request, account),
            name=body.get("name", ""),
            scopes=None if scopes is None else clean_lines(scopes, field="scopes", maximum=40, count=40),
            scope=Scope(team, model.pk if model else None),
            expires_at=_moment(body.get("expires_at")),
            maker=token_of(request.user),
            actor=self.actor,
            reason=reason_of(body),
        )
        document = token_document(token, timezone.now()) | {"secret": secret}
        return Response(document, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class AccountTokens(Tokens):
    """The tokens of a service account."""

    everywhere = True
    permissions = {"GET": Permission.ADMINISTER, "POST": Permission.ADMINISTER}

    def owner(self, request: Request, account: str) -> User:
        return directory.service_account(account).user

    @extend_schema(
        operation_id="account_tokens_list", parameters=PAGE_PARAMETERS, responses=serializers.TokenList
    )
    def get(self, request: Request, account: str = "") -> Response:
        return super().get(request, account)

    @extend_schema(
        operation_id="account_tokens_create",
        request=serializers.TokenIn,
        responses={201: serializers.TokenMade},
    )
    def post(self, request: Request, account: str = "") -> Response:
        return super().post(request, account)


class OneToken(RegistryView):
    """One token: one's own, or for administrators anybody's."""

    permissions = {"DELETE": Permission.VIEW}

    @extend_schema(operation_id="tokens_get", responses=serializers.TokenOut)
    def get(self, request: Request, pk: int) -> Response:
        return Response(token_document(_token(request, pk), timezone.now()))

    @extend_schema(operation_id="tokens_revoke", parameters=[_REASON], responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        token, reason = _token(request, pk), text_of(request, "reason")
        if not may(request.user, Permission.ADMINISTER):
            tokens.check_reach(token_of(request.user), token)
        tokens.revoke_token(token=token, actor=self.actor, reason=reason)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _token(request: Request, pk: int) -> ApiToken:
    if may(request.user, Permission.ADMINISTER):
        return directory.token_by_id(pk)
    return queries.token_of_user(cast(User, request.user), pk)


def _place(body: dict[str, Any]) -> tuple[str, Model | None]:
    """The team and the model that the body names, at most one of them."""
    team, name = team_name(body.get("team"), field="team"), body.get("model")
    if name is None:
        return team, None
    if team:
        raise Invalid("Name a team or a model, not both.", field="team")
    return "", queries.model_by_name(clean_line(name, field="model", maximum=128))


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = moment_of(value)
    if moment is None:
        raise Invalid("It is not a moment.", field="expires_at", hint="Write 2026-03-01T12:00:00Z.")
    return moment
