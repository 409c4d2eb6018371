"""Celery's broker."""

from __future__ import annotations

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

# What sending, counting or reading a message raises when the broker does not answer.
QUEUE_ERRORS = (OperationalError, RedisError, OSError)
