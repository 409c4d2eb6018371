"""What people read while the gateway does not tell its routes."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rollouts.adapters import local
from rollouts.errors import WorldUnavailable


@pytest.fixture
def gateway(request):
    """The address of a gateway that answers with the given status and body, or not at all."""
    status, body = request.param

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def said(folder, url):
    with pytest.raises(WorldUnavailable) as caught:
        local.LocalRouter(folder, url).observed_route("churn")
    text = str(caught.value)
    assert text.startswith(f"The gateway at {url} did not report its routes: ")
    return text.partition("routes: ")[2]


@pytest.mark.parametrize(
    ("gateway", "words"),
    [
        ((503, b""), "it answered with status 503."),
        ((200, b"<html>"), "its answer is not the list of routes."),
        ((200, b"[]"), "its answer is not the list of routes."),
    ],
    indirect=["gateway"],
)
def test_an_answer_that_is_none_is_told_in_words(gateway, words, tmp_path):
    assert said(tmp_path, gateway) == words


def test_a_gateway_that_is_away_or_silent_is_told_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "GATEWAY_TIMEOUT_SECONDS", 0.05)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert said(tmp_path, url) == "nothing answers there; it may be starting anew."
        listener.listen()
        assert said(tmp_path, url) == "no answer within 0.05 s."
