"""The queue's door: a message says "look at this intake", the lease in the database says whose it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from celery import shared_task

from registry import wiring
from registry.models import Intake
from registry.services import intake

# A message that no worker took by then is sent again.
QUEUED = timedelta(minutes=10)
CLAIM_LIMIT = 100
# A file of any size is hashed, then inspected within the limits of the sandbox.
_HOUR = 3600


@shared_task(name="registry.intake", ignore_result=True, soft_time_limit=_HOUR, time_limit=_HOUR + 60)
def take_in(intake_id: int, leased_until: str) -> None:
    """Work on one intake if its lease is still the one the message was sent with."""
    until = datetime.fromisoformat(leased_until)
    found = Intake.objects.filter(pk=intake_id, leased_until=until).first()
    if found is not None:
        intake.work(found, wiring.artifact_store())


def dispatch() -> int:
    """Hand intakes that are due to workers; how many."""
    claimed = intake.claim(CLAIM_LIMIT, lease=QUEUED)
    for found in claimed:
        take_in.delay(found.pk, found.leased_until.isoformat())
    return len(claimed)


def work_one() -> bool:
    """Do the next intake that is due, here and now; False when none is."""
    for found in intake.claim(1):
        intake.work(found, wiring.artifact_store())
        return True
    return False
