"""The page of one's own API tokens."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from registry import queries, tokens
from registry.errors import DomainError
from registry.identity import actor_for
from registry.web.door import explain, page
from registry.web.forms import TokenForm
from registry.web.presenting import token_row


@page("GET", "HEAD", "POST")
def own_tokens(request: HttpRequest) -> HttpResponse:
    """The list and the form; the answer to the form is the only page that ever shows a secret."""
    user, now = cast(User, request.user), timezone.now()
    form, secret = TokenForm(request.POST if request.method == "POST" else None), ""
    if request.method == "POST" and form.is_valid():
        lifetime = form.lifetime()
        try:
            _, secret = tokens.create_token(
                user=user,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"] or None,
                expires_at=now + lifetime if lifetime else None,
                actor=actor_for(request),
            )
        except DomainError as error:
            explain(form, error)
        else:
            form = TokenForm()
    rows = [token_row(token, now) for token in queries.tokens_of(user)]
    context = {"form": form, "rows": rows, "secret": secret}
    return render(request, "registry/tokens.html", context, status=400 if form.errors else 200)


@page("POST")
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of one's own tokens."""
    token = queries.token_of_user(cast(User, request.user), pk)
    tokens.revoke_token(token=token, actor=actor_for(request))
    messages.success(request, f"The token {token.name} is revoked; requests with it are refused from now on.")
    return redirect("registry:tokens")
