"""Notices through apprise, which speaks to Slack, Teams, mail servers and a hundred other services.

An apprise URL is a secret as a whole: it holds tokens and passwords. Nothing here logs or returns it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import apprise
from apprise import NotifyFormat, NotifyType

from monitoring.adapters.outbound import guarded
from monitoring.domain.notices import Message, Severity
from monitoring.errors import NotSent
from registry.errors import Invalid

CONNECT_S, READ_S = 4.0, 8.0
_TYPES = {
    Severity.INFO: NotifyType.INFO,
    Severity.WARNING: NotifyType.WARNING,
    Severity.CRITICAL: NotifyType.FAILURE,
}
# What stays on this machine, keeps connections of its own in threads, or names files of this machine.
_REFUSED = frozenset(
    {
        "amqp", "amqps", "blink1", "dbus", "deltachat", "deltachats", "fcm", "gio", "glib", "gnome", "growl",
        "irc", "ircs", "kde", "macosx", "mqtt", "mqtts", "nostr", "qt", "smpp", "smpps", "syslog", "vapid",
        "windows", "xmpp", "xmpps",
    }
)  # fmt: skip
# Options that name a file of this machine.
_FILES = re.compile(r"[?&](template|pgp[a-z]*|wkd|keyfile|subfile|attach)=", re.IGNORECASE)
_HINT = "Write one as apprise does: slack://…, msteams://…, mailto://…, json://…"

_lines: ContextVar[list[str] | None] = ContextVar("apprise_lines", default=None)


class _Capture(logging.Handler):
    """Keeps what apprise says of the present call, and lets nothing of it reach the log."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = _lines.get()
        if lines is not None and record.levelno >= logging.WARNING:
            lines.append(record.getMessage())


_logger = logging.getLogger("apprise")
_logger.setLevel(logging.WARNING)
_logger.propagate = False
_logger.addHandler(_Capture())


class AppriseNotifier:
    """The Notifier of production."""

    def describe(self, url: str) -> str:
        plugin = _plugin(url)
        hosted = "host" in plugin.template_tokens and bool(plugin.host)
        return f"{plugin.service_name} at {plugin.host}" if hosted else str(plugin.service_name)

    def send(self, url: str, message: Message) -> None:
        plugin = _plugin(url)
        body = f"{message.text}\n{message.link}".strip() or message.title
        with _captured() as lines, guarded() as guard:
            try:
                sent = plugin.notify(
                    body=body,
                    title=message.title,
                    notify_type=_TYPES[message.severity],
                    body_format=NotifyFormat.TEXT,
                )
            except Exception as error:
                # A plugin's own fault must not end the sender; its text may hold the URL.
                raise NotSent(_clean(f"{type(error).__name__}: {error}", url)) from None
        if guard.refusals:
            raise NotSent(f"Refused: {guard.refusals[-1]}.")
        if not sent:
            raise NotSent(_clean(" ".join(lines), url) or "The service did not take it.")


def _plugin(url: str) -> Any:
    scheme = url.partition("://")[0].lower()
    if scheme in _REFUSED:
        raise Invalid(f"{scheme} is not sent from a server.", field="url", hint=_HINT)
    if _FILES.search(url):
        raise Invalid("An option of the URL would read a file of the server.", field="url")
    with _captured():
        plugin: Any = apprise.Apprise.instantiate(url)
    if not plugin:
        raise Invalid("This is not a URL that notices can be sent to.", field="url", hint=_HINT)
    # Whatever the URL asks for: one attempt, seconds at most, and no redirect.
    plugin.socket_connect_timeout, plugin.socket_read_timeout = CONNECT_S, READ_S
    plugin.retry, plugin.redirects = 0, False
    return plugin


@contextmanager
def _captured() -> Iterator[list[str]]:
    lines: list[str] = []
    token = _lines.set(lines)
    try:
        yield lines
    finally:
        _lines.reset(token)


def _clean(text: str, url: str) -> str:
    """The text on one line without any part of the URL that could be a secret."""
    rest = url.partition("://")[2]
    for part in sorted(set(re.split(r"[/:@?&=#]", f"{rest}/{unquote(rest)}")), key=len, reverse=True):
        if len(part) >= 4:
            text = text.replace(part, "…")
    return " ".join(text.split())[:500]
