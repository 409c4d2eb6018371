"""apprise against real servers of this machine, and what the guard keeps it from."""

import logging
import socket

import pytest

from monitoring.adapters.apprise_notifier import AppriseNotifier
from monitoring.adapters.outbound import Refused, guarded
from monitoring.domain.notices import Message, Severity
from monitoring.errors import NotSent
from registry.errors import Invalid
from tests.mailbox import Mailbox
from tests.receiver import Receiver

MESSAGE = Message("Paused", "Nobody knows why.", Severity.WARNING, "https://slipway.example/rollouts/7/")
NOTIFIER = AppriseNotifier()


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def open_loopback(settings):
    settings.SLIPWAY_OUTBOUND_ALLOW = ["127.0.0.0/8"]


def test_a_notice_arrives_with_its_text_its_severity_and_its_link(receiver, open_loopback):
    NOTIFIER.send(f"json://127.0.0.1:{receiver.port}/hook/s3cr3t", MESSAGE)
    (sent,) = receiver.received
    assert sent.path.rstrip("/") == "/hook/s3cr3t"
    assert sent.json["title"] == "Paused"
    assert sent.json["message"] == "Nobody knows why.\nhttps://slipway.example/rollouts/7/"
    assert sent.json["type"] == "warning"


def test_loopback_is_refused_unless_it_is_allowed(receiver):
    with pytest.raises(NotSent, match="127.0.0.1 is a loopback address"):
        NOTIFIER.send(f"json://127.0.0.1:{receiver.port}/", MESSAGE)
    assert receiver.received == []


@pytest.mark.parametrize("host", ["localhost", "169.254.169.254", "[::1]", "0.0.0.0", "10.0.0.1"])
def test_neither_names_nor_notations_get_around_it(receiver, host):
    with pytest.raises(NotSent, match="^Refused: "):
        NOTIFIER.send(f"json://{host}:{receiver.port}/", MESSAGE)
    assert receiver.received == []


def test_a_public_name_that_resolves_to_this_machine_is_refused(receiver, monkeypatch):
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1", *a, **k))
    with pytest.raises(NotSent, match="loopback"):
        NOTIFIER.send(f"json://chat.example.com:{receiver.port}/", MESSAGE)
    assert receiver.received == []


def test_no_redirect_is_followed_even_when_the_url_asks_for_it(receiver, open_loopback):
    receiver.answer = lambda r: (302, {"location": "http://169.254.169.254/latest/meta-data/"}, b"")
    with pytest.raises(NotSent):
        NOTIFIER.send(f"json://127.0.0.1:{receiver.port}/?redirect=yes", MESSAGE)
    assert len(receiver.received) == 1


def test_mail_and_raw_sockets_are_guarded_too():
    with pytest.raises(NotSent, match="Refused"):
        NOTIFIER.send("mailto://ada:password@example.com?smtp=127.0.0.1&port=25", MESSAGE)
    with guarded(), pytest.raises(Refused):
        socket.create_connection(("127.0.0.1", 9), timeout=1)


def test_a_mail_arrives_at_a_real_mail_server(open_loopback):
    with Mailbox() as mailbox:
        options = "from=slipway@example.org&to=mary@example.org&mode=insecure"
        NOTIFIER.send(f"mailto://127.0.0.1:{mailbox.port}/?{options}", MESSAGE)
    (mail,) = mailbox.messages
    assert mail["subject"] == "Paused" and "mary@example.org" in mail["to"]
    text = mail.get_body(("plain", "html")).get_content()
    assert "Nobody knows why." in text and "https://slipway.example/rollouts/7/" in text


def test_outside_the_guard_connections_are_nobodys_business(receiver):
    socket.create_connection(("127.0.0.1", receiver.port), timeout=5).close()


def test_a_failure_is_told_without_the_secret(receiver, open_loopback, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.answer = lambda r: (500, {}, b"no")
    with pytest.raises(NotSent) as failed:
        NOTIFIER.send(f"json://bob:hunter2hunter2@127.0.0.1:{receiver.port}/s3cr3tpath", MESSAGE)
    assert "500" in str(failed.value)
    for secret in ("hunter2", "s3cr3tpath"):
        assert secret not in str(failed.value)
        assert secret not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("apprise"))


def test_a_service_that_is_away_is_told():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(NotSent):
        NOTIFIER.send(f"json://127.0.0.1:{port}/", MESSAGE)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", "Slack"),
        ("json://bob:hunter2@example.com/s3cr3t", "JSON at example.com"),
        ("mailto://ada:password@example.com", "E-Mail at example.com"),
    ],
)
def test_what_is_shown_of_a_url_holds_no_secret(url, words):
    assert NOTIFIER.describe(url) == words


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "ftp://example.com", "dbus://", "syslog://", "xmpp://a:b@example.com", "slack://nonsense", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#x?template=/etc/passwd"],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url):
    with pytest.raises(Invalid) as refused:
        NOTIFIER.describe(url)
    assert refused.value.field == "url"
    assert not url or url not in str(refused.value)
