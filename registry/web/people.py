"""Pages of people: adding one, and changing one's own password."""

from __future__ import annotations

import secrets
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from registry import services
from registry.domain.roles import Permission, Role
from registry.errors import DomainError
from registry.identity import actor_for
from registry.web.door import explain, page
from registry.web.forms import PersonForm


@page("GET", "HEAD", "POST", permission=Permission.ADMINISTER, everywhere=True)
def new_person(request: HttpRequest) -> HttpResponse:
    """The form; the answer to it is the only page that ever shows the password."""
    form = PersonForm(request.POST if request.method == "POST" else None)
    made, password = None, secrets.token_urlsafe(12)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            made = services.create_person(
                name=said["name"],
                email=said["email"],
                role=Role(said["role"]) if said["role"] else None,
                password=password,
                actor=actor_for(request),
                reason=said["reason"],
            )
        except DomainError as error:
            explain(form, error)
        else:
            form = PersonForm()
    context = {
        "form": form,
        "made": made,
        "password": password if made else "",
        "openid": settings.SLIPWAY_OIDC_NAME if settings.SLIPWAY_OIDC_ISSUER else "",
    }
    return render(request, "registry/new_person.html", context, status=400 if form.errors else 200)


@sensitive_post_parameters()
@page("GET", "HEAD", "POST")
def password(request: HttpRequest) -> HttpResponse:
    """One's own password, for those who have one."""
    user = cast(User, request.user)
    form = PasswordChangeForm(user, request.POST if request.method == "POST" else None)
    form.fields["new_password1"].help_text = " ".join(password_validators_help_texts())
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data["new_password1"]
        services.change_password(user=user, password=chosen, actor=actor_for(request))
        update_session_auth_hash(request, user)
        messages.success(request, "The password is changed. Other sessions are ended; tokens stay.")
        return redirect("registry:tokens")
    context = {"form": form, "has_password": user.has_usable_password()}
    return render(request, "registry/password.html", context, status=400 if form.errors else 200)
