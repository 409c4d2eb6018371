"""How long messages wait in the queue, as Redis holds them."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import Any

from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

QUEUE_ERRORS = (OperationalError, RedisError, OSError)
# In a message's headers: when it was sent, Unix time.
SENT_AT = "slipway_sent_at"


def oldest_message_age(now: datetime) -> float:
    """Seconds since the oldest message that no worker took was sent; 0 with none.

    Raises one of QUEUE_ERRORS within a second when Redis does not answer.
    """
    # Kombu puts messages at the head of a list named like the queue, and takes them from its end.
    found: Any = _redis(settings.CELERY_BROKER_URL).lindex(current_app.conf.task_default_queue, -1)
    sent = json.loads(found).get("headers", {}).get(SENT_AT) if found else None
    return max(0.0, now.timestamp() - float(sent)) if sent else 0.0


@cache
def _redis(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
