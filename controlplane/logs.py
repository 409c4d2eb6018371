"""Log lines as JSON, each with the ids of the request, the endpoint and the rollout that it is about."""

from __future__ import annotations

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from registry import telemetry


class JsonLine(JsonFormatter):
    """`{"time", "level", "logger", "message", …}`, then what the line was given and what it belongs to."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """RFC 3339 in UTC, to the millisecond."""
        whole = super().formatTime(record, "%Y-%m-%dT%H:%M:%S")
        return f"{whole}.{int(record.msecs):03d}Z"

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """The fields of the line; what it says of itself wins over what it belongs to."""
        super().add_fields(log_data, record, message_dict)
        for key, value in telemetry.ids().items():
            log_data.setdefault(key, value)
