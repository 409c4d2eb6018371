"""`manage.py link_identity USER SUBJECT`: an account signs in at the identity provider from now on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry import services
from registry.domain.actor import SYSTEM
from registry.errors import DomainError


class Command(BaseCommand):
    help = "Link an account to the person whom the identity provider of SLIPWAY_OIDC_ISSUER calls SUBJECT."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("subject", help="the `sub` claim")

    def handle(self, *args: Any, user: str, subject: str, **options: Any) -> None:
        if not settings.SLIPWAY_OIDC_ISSUER:
            raise CommandError("SLIPWAY_OIDC_ISSUER is not set.")
        found = User.objects.filter(username=user).first()
        if found is None:
            raise CommandError(f"There is no user {user!r}.")
        try:
            services.link_identity(
                user=found, issuer=settings.SLIPWAY_OIDC_ISSUER, subject=subject, actor=SYSTEM
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{user} signs in as {subject} from now on.")
