"""What waits in the queue: how much, for how long, and whether anybody takes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from celery import current_app
from django.conf import settings
from redis import Redis

# In a message's headers: when it was sent, Unix time.
SENT_AT = "slipway_sent_at"
# With messages that nobody takes for so long, the work is done without the queue.
STUCK_SECONDS = 10.0


class Backlog:
    """Whether workers take what waits: a queue that answers while all of them hang is no queue."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._length, self._moved = 0, clock()
        self.hangs = False

    def stuck(self, waiting: int) -> bool:
        """Whether messages wait and their number has not fallen for STUCK_SECONDS; kept in `hangs`."""
        if not waiting or waiting < self._length:
            self._moved = self._clock()
        self._length = waiting
        self.hangs = self._clock() - self._moved > STUCK_SECONDS
        return self.hangs


def messages_in(channel: Any, queue: str) -> int:
    """How many messages in the queue no worker has taken yet."""
    return int(channel.queue_declare(queue=queue).message_count)


def oldest_message_age(now: datetime) -> float:
    """Seconds since the oldest message that no worker took was sent; 0 with none.

    Raises one of monitoring.adapters.queue.QUEUE_ERRORS within a second when Redis does not answer.
    """
    # Kombu puts messages at the head of a list named like the queue, and takes them from its end.
    found: Any = _redis(settings.CELERY_BROKER_URL).lindex(current_app.conf.task_default_queue, -1)
    sent = json.loads(found).get("headers", {}).get(SENT_AT) if found else None
    return max(0.0, now.timestamp() - float(sent)) if sent else 0.0


@cache
def _redis(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
