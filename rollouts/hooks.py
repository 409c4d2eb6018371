"""Webhooks that plans and policies name: adding one, switching it, and which are known."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from monitoring.adapters import webhook
from monitoring.domain.signing import new_secret, signed_headers
from monitoring.errors import Unreachable
from registry import audit
from registry.domain.actor import Actor
from registry.domain.text import clean_line
from rollouts.domain.hooks import hook_names
from rollouts.domain.plan import Plan
from rollouts.domain.steps import HOOK_NAME
from rollouts.errors import Conflict, Invalid, InvalidPlan, NotFound
from rollouts.models import HookCall, Rollout, Webhook


def add_webhook(*, name: str, url: str, actor: Actor) -> tuple[Webhook, str]:
    """A new webhook and its secret, which signs every call and is never shown again."""
    if not re.fullmatch(HOOK_NAME, name):
        raise Invalid(
            f"{name!r} cannot be used as a name.",
            field="name",
            hint="Use up to 63 lower-case letters, digits and dashes.",
        )
    url, secret = clean_line(url, field="url", maximum=2000, required=True), new_secret()
    host = _host(url)
    try:
        with transaction.atomic():
            row = Webhook.objects.create(
                name=name, url=url, secret=secret, host=host, created_by=str(actor)[:150]
            )
            audit.record(actor=actor, action="hook.add", target=f"hooks/{name}", after={"host": host})
    except IntegrityError as error:
        raise Conflict(f"There is a hook {name!r} already.", field="name") from error
    return row, secret


def new_secret_of(*, name: str, actor: Actor) -> str:
    """Replaces the secret; calls from now on are signed with the new one."""
    secret = new_secret()
    with transaction.atomic():
        row = by_name(name)
        row.secret = secret
        row.save(update_fields=["secret"])
        audit.record(actor=actor, action="hook.secret", target=f"hooks/{name}")
    return secret


def switch(*, name: str, active: bool, actor: Actor, reason: str = "") -> Webhook:
    """Switches a webhook off or on; one that is off gives no answer, so who asks it waits for a person."""
    with transaction.atomic():
        row = Webhook.objects.select_for_update().filter(name=name).first()
        if row is None:
            raise NotFound(f"There is no hook {name!r}.")
        if row.active == active:
            raise Conflict(f"{name} is {'on' if active else 'off'} already.")
        row.active = active
        row.save(update_fields=["active"])
        verb = "on" if active else "off"
        audit.record(actor=actor, action=f"hook.{verb}", target=f"hooks/{name}", reason=reason)
    return row


def ping(*, name: str) -> str:
    """Sends a signed `ping` now and waits some seconds; why it did not arrive, or nothing."""
    row, now = by_name(name), timezone.now()
    body = json.dumps({"type": "ping", "timestamp": now.isoformat(), "data": {"hook": name}}).encode()
    headers = signed_headers(row.secret.open(), delivery=str(uuid4()), at=now, body=body)
    try:
        reply = webhook.post(row.url.open(), headers, body)
    except Unreachable as error:
        return str(error)
    return "" if 200 <= reply.status < 300 else f"It answered {reply.status}."


def by_name(name: str) -> Webhook:
    """NotFound when there is none."""
    row = Webhook.objects.filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no hook {name!r}.")
    return row


def webhooks() -> QuerySet[Webhook]:
    """Every webhook, by name."""
    return Webhook.objects.order_by("name")


def calls_of(rollout: Rollout) -> list[HookCall]:
    """Every call for the rollout, newest first."""
    return list(HookCall.objects.filter(rollout=rollout).select_related("webhook").order_by("-id")[:100])


def newest_calls(limit: int, *, within: Q) -> list[HookCall]:
    """The newest calls for rollouts that `within` lets through."""
    calls = HookCall.objects.filter(within).select_related("webhook", "rollout__endpoint")
    return list(calls.order_by("-id")[:limit])


def check_known(plan: Plan, parameters: Mapping[str, Any]) -> None:
    """InvalidPlan for a hook that does not exist or is off, with the path at which the parameters name it."""
    names = hook_names(plan)
    if not names:
        return
    known = set(webhooks().filter(active=True, name__in=names).values_list("name", flat=True))
    for name in names:
        if name not in known:
            raise InvalidPlan(
                f"there is no hook {name!r} that is switched on.",
                field=_place(name, parameters),
                hint="A release manager adds one on the page /hooks/ or with POST /api/v1/hooks.",
            )


def _place(name: str, parameters: Mapping[str, Any]) -> str:
    """Where the parameters name the hook; otherwise it comes from the environment's policy."""
    for key in ("hooks", "steps"):
        for index, item in enumerate(parameters.get(key) or ()):
            if isinstance(item, Mapping) and item.get("name") == name:
                return f"parameters.{key}[{index}].name"
    return "policy.hooks"


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Invalid(
            "This is not an http or https address.", field="url", hint="https://ci.example.org/gate"
        )
    return f"{parts.hostname}{port}"[:255]
