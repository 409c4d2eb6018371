"""The page of one's own API tokens."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from registry import directory, queries, tokens
from registry.domain.access import Scope
from registry.domain.roles import Permission
from registry.domain.text import whole_number
from registry.errors import DomainError, NotFound
from registry.identity import actor_for, require
from registry.web.door import explain, page
from registry.web.forms import TokenForm
from registry.web.presenting import token_row


@page("GET", "HEAD", "POST")
def own_tokens(request: HttpRequest) -> HttpResponse:
    """The list and the form; the answer to the form is the only page that ever shows a secret."""
    return token_page(request, cast(User, request.user), "registry/tokens.html", {})


def token_page(request: HttpRequest, user: User, template: str, extra: dict[str, Any]) -> HttpResponse:
    """A page with the user's tokens and the form for a new one, for `user` or whoever manages it."""
    form, secret = TokenForm(request.POST if request.method == "POST" else None), ""
    if request.method == "POST" and form.is_valid():
        try:
            secret = _create(request, user, form)
        except DomainError as error:
            explain(form, error)
        else:
            form = TokenForm()
    found = directory.tokens_page(user, after=whole_number(request.GET.get("after"), field="after"))
    now = timezone.now()
    rows = [token_row(token, now) for token in found.items]
    context = {"form": form, "rows": rows, "next": found.next, "secret": secret, **extra}
    return render(request, template, context, status=400 if form.errors else 200)


@page("POST")
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of one's own tokens."""
    token = queries.token_of_user(cast(User, request.user), pk)
    tokens.revoke_token(token=token, actor=actor_for(request))
    messages.success(request, f"The token {token.name} is revoked; requests with it are refused from now on.")
    return redirect("registry:tokens")


def _create(request: HttpRequest, user: User, form: TokenForm) -> str:
    said, lifetime = form.cleaned_data, form.lifetime()
    _, secret = tokens.create_token(
        user=user,
        name=said["name"],
        scopes=said["scopes"] or None,
        scope=_scope(request, said["limit"].strip()),
        expires_at=timezone.now() + lifetime if lifetime else None,
        actor=actor_for(request),
    )
    return secret


def _scope(request: HttpRequest, limit: str) -> Scope:
    """The scope that the form's `team:growth` or model name means."""
    if not limit:
        return Scope()
    if limit.startswith("team:"):
        return Scope(team=limit.removeprefix("team:").strip())
    try:
        model = queries.model_by_name(limit)
        require(request.user, Permission.VIEW, model)
    except NotFound as error:
        error.field = "limit"
        raise
    return Scope(model=model.pk)
