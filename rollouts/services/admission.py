"""What may be rolled out where: said before anything is created.

Each check raises what its caller hands on: Invalid for what cannot be, Conflict for what cannot be now.
"""

from __future__ import annotations

from django.utils import timezone

from registry.domain.findings import barring
from registry.models import Version
from rollouts import abilities, store
from rollouts.domain.phases import Phase
from rollouts.domain.policy import Policy
from rollouts.errors import Conflict, Frozen, Invalid
from rollouts.models import Endpoint, Environment, Rollout


def check_freeze(endpoint: Endpoint) -> None:
    """Frozen while a freeze window holds the environment."""
    freeze = store.freeze_of(endpoint.environment_id, timezone.now())
    if freeze is not None:
        raise Frozen(
            f"{endpoint.environment.name} is {freeze}.",
            hint="Wait, or break the glass with a reason if it cannot wait; rollbacks are always possible.",
        )


def earlier_success(endpoint: Endpoint, version: Version) -> Rollout | None:
    """The newest success of this very artifact in the environment that the policy asks for."""
    wanted = Policy.from_dict(endpoint.environment.policy).after
    if not wanted:
        return None
    done = Rollout.objects.filter(
        endpoint__environment__name=wanted,
        candidate__digest=version.digest,
        phase__in=[Phase.SUCCEEDED.value, Phase.CONCLUDED.value],
    )
    earlier = done.order_by("-id").first()
    if earlier is None:
        raise Conflict(
            f"{version} has not succeeded in {wanted}, which {endpoint.environment.name} asks for.",
            field="version",
            hint=f"Roll it out in {wanted} first.",
        )
    return earlier


def check_inspection(endpoint: Endpoint, version: Version) -> None:
    """An environment may ask that the export did not change the answers, and that certain findings are not
    there; breaking the glass does not help."""
    policy = Policy.from_dict(endpoint.environment.policy)
    if policy.parity and not version.parity:
        why = "differs from" if version.parity is False else "was never compared with"
        raise Conflict(
            f"{version} {why} the answers before its export; {endpoint.environment.name} asks for parity.",
            field="version",
            hint="Register it with a reference set that holds the expected answers, and see its findings.",
        )
    found = barring(version.findings, policy.without)
    if found:
        raise Conflict(
            f"{version} has findings that {endpoint.environment.name} does not take: {' '.join(found)[:500]}",
            field="version",
            hint="Register a version without them, or have the environment's policy changed.",
        )


def check_candidate(endpoint: Endpoint, version: Version) -> None:
    """Whether the version can follow the endpoint's stable one; it is held from being deleted meanwhile."""
    hold(version)
    if version.model_id != endpoint.model_id:
        raise Invalid(
            f"{version} is not a version of the model that {endpoint.name} serves ({endpoint.model.name}).",
            field="version",
        )
    if endpoint.stable is None:
        raise Conflict(f"{endpoint.name} has no stable version yet.")
    if endpoint.serves(version):
        raise Invalid(
            f"{endpoint.name} serves version {version.ref} already; a rollout needs another one.",
            field="version",
        )
    check_servable(version, endpoint.environment)


def check_served_before(endpoint: Endpoint, version: Version) -> None:
    """Whether going back to the version is possible: it was stable here, or promoted here."""
    check_candidate(endpoint, version)
    promoted = Rollout.objects.filter(endpoint=endpoint, phase=Phase.SUCCEEDED.value)
    if (
        promoted.filter(candidate__version=version).exists()
        or promoted.filter(stable__version=version).exists()
    ):
        return
    raise Invalid(
        f"{version} never served {endpoint.name}, so there is nothing to go back to.",
        field="version",
        hint="Start a rollout of it instead.",
    )


def check_servable(version: Version, environment: Environment) -> None:
    """Whether the environment's servers can run it, said before anything is created."""
    if version.deleted_at is not None:
        raise Invalid(f"{version} was deleted.", field="version")
    if version.unready:
        raise Invalid(f"{version} {version.unready}.", field="version", hint="Wait for its inspection.")
    refused = abilities.unservable(version, abilities.serves(environment))
    if refused:
        hint = f"Export it to what runs there, or give {environment.name} another runtime."
        raise Invalid(f"{version} {refused}.", field="version", hint=hint)


def hold(version: Version) -> None:
    """Keep the version from being deleted until this transaction has said that it is in use, and learn
    whether it was. Deleting locks the same row, and asks what uses the version after that."""
    held = Version.objects.select_for_update().filter(pk=version.pk)
    version.deleted_at = held.values_list("deleted_at", flat=True).get()
