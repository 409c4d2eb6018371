"""Pages of access: roles and where they hold, service accounts and their tokens."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from registry import directory, queries, services, tokens
from registry.domain.access import Scope
from registry.domain.roles import Permission, Role
from registry.domain.text import clean_line, whole_number
from registry.errors import DomainError, NotFound
from registry.identity import actor_for, governed, may, require
from registry.models import Model, RoleGrant
from registry.web.door import explain, page
from registry.web.forms import AccountForm, GrantForm
from registry.web.tokens import token_page


@page("GET", "HEAD", "POST", permission=Permission.ADMINISTER)
def access(request: HttpRequest) -> HttpResponse:
    """Who holds which role where, as far as the user administers it, and the form that grants one."""
    form = GrantForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = _grant(request, form)
        except DomainError as error:
            explain(form, error)
        else:
            messages.success(request, f"{made.user.get_username()} is now {made.role} on {made.where}.")
            return redirect("registry:access")
    after = whole_number(request.GET.get("after"), field="after")
    user = clean_line(request.GET.get("user", ""), field="user", maximum=150)
    found = directory.grants_page(within=governed(request.user), after=after, user=user)
    context = {
        "form": form,
        "grants": found.items,
        "next": found.next,
        "user_name": user,
        "may_administer": may(request.user, Permission.ADMINISTER),
    }
    return render(request, "registry/access.html", context, status=400 if form.errors else 200)


def _grant(request: HttpRequest, form: GrantForm) -> RoleGrant:
    team, model = form.cleaned_data["team"].strip(), _model(form.cleaned_data["model"])
    require(request.user, Permission.ADMINISTER, model or Scope(team=team))
    return services.grant_role(
        user=directory.user_by_name(form.cleaned_data["user"]),
        role=Role(form.cleaned_data["role"]),
        team=team,
        model=model,
        actor=actor_for(request),
        reason=form.cleaned_data["reason"],
    )


def _model(name: str) -> Model | None:
    if not name:
        return None
    try:
        return queries.model_by_name(name)
    except NotFound as error:
        error.field = "model"
        raise


@page("POST", permission=Permission.ADMINISTER)
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Take one role away."""
    grant = directory.grant_by_id(pk)
    require(request.user, Permission.ADMINISTER, grant.model or Scope(team=grant.team))
    services.revoke_role(grant=grant, actor=actor_for(request))
    messages.success(request, f"{grant.user.get_username()} is no longer {grant.role} on {grant.where}.")
    return redirect("registry:access")


@page("GET", "HEAD", "POST", permission=Permission.ADMINISTER, everywhere=True)
def accounts(request: HttpRequest) -> HttpResponse:
    """Service accounts, and the form for a new one."""
    form = AccountForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_service_account(**form.cleaned_data, actor=actor_for(request))
        except DomainError as error:
            explain(form, error)
        else:
            return redirect("registry:account", made.user.get_username())
    after = clean_line(request.GET.get("after", ""), field="after", maximum=150)
    found = directory.service_accounts_page(after=after)
    context = {"form": form, "accounts": found.items, "next": found.next}
    return render(request, "registry/accounts.html", context, status=400 if form.errors else 200)


@page("GET", "HEAD", "POST", permission=Permission.ADMINISTER, everywhere=True)
def account(request: HttpRequest, account: str) -> HttpResponse:
    """One service account: its tokens, its roles, and the form for a new token."""
    found = directory.service_account(account)
    user: User = found.user
    grants = directory.grants_page(within=governed(request.user), user=user.get_username())
    extra = {"account": found, "grants": grants.items}
    return token_page(request, user, "registry/account.html", extra)


@page("POST", permission=Permission.ADMINISTER, everywhere=True)
def revoke_account_token(request: HttpRequest, account: str, pk: int) -> HttpResponse:
    """End one token of a service account."""
    token = queries.token_of_user(directory.service_account(account).user, pk)
    tokens.revoke_token(token=token, actor=actor_for(request))
    messages.success(request, f"The token {token.name} is revoked; requests with it are refused from now on.")
    return redirect("registry:account", account)


@page("POST", permission=Permission.ADMINISTER, everywhere=True)
def disable_account(request: HttpRequest, account: str) -> HttpResponse:
    """End a service account and its tokens."""
    services.disable_service_account(account=directory.service_account(account), actor=actor_for(request))
    messages.success(request, f"{account} and its tokens are ended.")
    return redirect("registry:accounts")
