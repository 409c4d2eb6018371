"""People and service accounts, their roles and their tokens, as pages by key."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db.models import Q

from registry.domain.roles import Role
from registry.errors import NotFound
from registry.models import ApiToken, Model, RoleGrant, ServiceAccount
from registry.queries import PAGE, Page, paged


def tokens_page(user: User, *, limit: int = PAGE, after: int | None = None) -> Page[ApiToken]:
    """A page of the user's tokens, newest first; `after` is the last id seen."""
    rows = ApiToken.objects.filter(user=user).select_related("user", "model").order_by("-id")
    rows = rows if after is None else rows.filter(id__lt=after)
    return paged(rows, limit, lambda token: str(token.pk))


def grants_page(*, within: Q, limit: int = PAGE, after: int | None = None, user: str = "") -> Page[RoleGrant]:
    """Roles in the order they were granted, of one user or of all; `within` filters the grants."""
    rows = RoleGrant.objects.filter(within, user__is_active=True).select_related("user", "model")
    rows = rows.filter(user__username=user) if user else rows
    rows = rows if after is None else rows.filter(id__gt=after)
    return paged(rows.order_by("id"), limit, lambda grant: str(grant.pk))


def model_names(keys: Iterable[int]) -> dict[int, str]:
    """The names of the models of these keys."""
    wanted = list(keys)
    return dict(Model.objects.filter(pk__in=wanted).values_list("pk", "name")) if wanted else {}


def grant_by_id(pk: int) -> RoleGrant:
    """The grant with its user and model, or `NotFound`."""
    grant = RoleGrant.objects.select_related("user", "model").filter(pk=pk).first()
    if grant is None:
        raise NotFound(f"There is no grant {pk}.")
    return grant


def has_administrator() -> bool:
    """Whether anybody could sign in who administers everything."""
    roles = RoleGrant.objects.filter(role=Role.ADMIN.value, team="", model=None, user__is_active=True)
    return User.objects.filter(is_superuser=True, is_active=True).exists() or roles.exists()


def user_by_name(name: str) -> User:
    """The active user or service account of that name, or `NotFound`."""
    user = None if "\x00" in name else User.objects.filter(username=name, is_active=True).first()
    if user is None:
        raise NotFound(f"There is no user or account named {ascii(name[:150])}.", field="user")
    return user


def service_accounts_page(*, limit: int = PAGE, after: str = "") -> Page[ServiceAccount]:
    """Active service accounts by name; `after` is the last name seen."""
    rows = ServiceAccount.objects.filter(user__is_active=True, user__username__gt=after)
    rows = rows.select_related("user").order_by("user__username")
    return paged(rows, limit, lambda account: account.user.get_username())


def service_account(name: str) -> ServiceAccount:
    """The active service account of that name, or `NotFound`."""
    rows = ServiceAccount.objects.filter(user__username=name, user__is_active=True)
    account = None if "\x00" in name else rows.select_related("user").first()
    if account is None:
        raise NotFound(f"There is no service account named {ascii(name[:150])}.")
    return account


def token_by_id(pk: int) -> ApiToken:
    """The token with its user and model, or `NotFound`."""
    token = ApiToken.objects.select_related("user", "model").filter(pk=pk).first()
    if token is None:
        raise NotFound(f"There is no token {pk}.")
    return token
