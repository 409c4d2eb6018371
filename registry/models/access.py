"""Who holds which role where, and the accounts that are no person."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.domain.access import Grant, Scope
from registry.domain.roles import Role


class RoleGrant(models.Model):
    """A role of one user on everything, on the models of `team`, or on `model`; one per user and scope.

    `source` says who keeps it: `manual` for people, `oidc` for the groups of single sign-on, which replace
    theirs at every sign-in.
    """

    MANUAL, OIDC = "manual", "oidc"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="role_grants")
    role = models.CharField(max_length=16, choices=[(role.value, role.display) for role in Role])
    team = models.CharField(max_length=128, blank=True)
    model = models.ForeignKey("registry.Model", on_delete=models.CASCADE, null=True, related_name="+")
    source = models.CharField(max_length=8, default=MANUAL)
    granted_by = models.CharField(max_length=150, blank=True)
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("user", "team", "source"), condition=models.Q(model=None), name="one_role_per_team"
            ),
            models.UniqueConstraint(
                fields=("user", "model", "source"),
                condition=models.Q(model__isnull=False),
                name="one_role_per_model",
            ),
            models.CheckConstraint(
                condition=models.Q(team="") | models.Q(model=None), name="grant_has_one_scope"
            ),
        )

    def __str__(self) -> str:
        return f"{self.role} on {self.where}"

    @property
    def scope(self) -> Scope:
        """Where it holds."""
        return Scope(self.team, self.model_id)

    @property
    def value(self) -> Grant:
        """The grant as the domain knows it."""
        return Grant(Role(self.role), self.scope)

    @property
    def where(self) -> str:
        """The scope as people read it; reads the model's row unless it is loaded."""
        if self.model is not None:
            return f"model {self.model.name}"
        return f"team {self.team}" if self.team else "everything"


class ServiceAccount(models.Model):
    """A user that is no person: it has no password, and acts through its tokens only."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="service_account"
    )
    description = models.CharField(max_length=500, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("user__username",)

    def __str__(self) -> str:
        return self.user.get_username()


class OpenIDIdentity(models.Model):
    """Whom an identity provider calls `subject`: the one thing about a person that never becomes another."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="openid_identity"
    )
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    linked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("issuer", "subject"), name="one_user_per_openid_subject"),
        )

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"
