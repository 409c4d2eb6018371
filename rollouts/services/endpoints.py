"""An endpoint and the releases on it."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry import audit
from registry.domain.actor import Actor
from registry.domain.profile import histogram_spec
from registry.models import Version
from registry.services import set_alias
from rollouts import store
from rollouts.domain.wording import check_name
from rollouts.errors import Conflict, Invalid
from rollouts.models import Endpoint, Environment, Release
from rollouts.services.admission import check_servable, hold


def create_endpoint(
    *,
    name: str,
    environment: Environment,
    version: Version,
    replicas: int = 1,
    actor: Actor,
    reason: str = "",
) -> Endpoint:
    """A new endpoint whose first version takes all traffic as soon as it is ready."""
    check_name(name)
    if not 1 <= replicas <= 1000:
        raise Invalid(f"{replicas} is outside 1 to 1000.", field="replicas")
    try:
        with transaction.atomic():
            hold(version)
            check_servable(version, environment)
            endpoint = Endpoint.objects.create(
                name=name, model=version.model, environment=environment, replicas=replicas, stable=None
            )
            endpoint.stable = release_of(endpoint, version, rival=None)
            endpoint.save(update_fields=["stable"])
            store.begin_tenure(endpoint, endpoint.stable, timezone.now())
            set_alias(
                model=version.model, name=environment.alias, version=version, actor=actor, reason=reason
            )
            audit.record(
                actor=actor,
                action="endpoint.create",
                target=f"endpoints/{name}",
                after={"version": version.ref, "digest": version.digest, "environment": environment.name},
                reason=reason,
            )
    except IntegrityError as error:
        if Endpoint.objects.filter(name=name).exists():
            raise Conflict(f"There is an endpoint {name!r} already.", field="name") from error
        raise Conflict(
            f"{version.model.name} has an endpoint in {environment.name} already.",
            field="environment",
            hint="Start a rollout there instead.",
        ) from error
    return endpoint


def release_of(endpoint: Endpoint, version: Version, *, rival: Release | None) -> Release:
    """The release that is warm on the endpoint when it is this very artifact, else a new one.

    A new one exposes the rival's bins beside its own, so that both can be compared bin by bin.
    """
    previous = endpoint.previous
    if previous is not None and previous.version_id == version.pk and previous.digest == version.digest:
        return previous
    rivals = [rival.version.profile] if rival is not None and rival.version.profile else []
    spec = histogram_spec(version.profile, *rivals) if version.profile else {}
    # The model server takes its batch sizes from it.
    if latency := version.inspection.get("latency"):
        spec = {**spec, "latency": latency}
    return Release.objects.create(endpoint=endpoint, version=version, digest=version.digest, histograms=spec)
