"""Whom the command line trusts: certificates are checked, and an authority of one's own can be named."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from deploy.cli.app import main
from monitoring.tests.adapters.test_prometheus_tls import QuietServer, issued

ME = json.dumps({"user": "ada", "role": "engineer"}).encode()


class Me(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(ME)))
        self.end_headers()
        self.wfile.write(ME)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The URL of a server with a certificate of an authority that nobody knows."""
    authority = issued(tmp_path, "authority")
    issued(tmp_path, "server", authority)
    issued(tmp_path, "stranger")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_TOKEN", "slw_x")
    with QuietServer(("127.0.0.1", 0), Me) as found:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
        found.socket = context.wrap_socket(found.socket, server_side=True)
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


def test_a_certificate_that_nobody_vouches_for_is_7_and_says_how_to_trust_it(server, capsys):
    assert main(["whoami", "--url", server]) == 7
    said = capsys.readouterr().err
    assert "its certificate was not accepted" in said and "--ca-bundle" in said


@pytest.mark.parametrize("elsewhere", ["", "stranger.pem"])
def test_a_named_authority_is_trusted_whatever_else_the_environment_says(
    server, capsys, tmp_path, monkeypatch, elsewhere
):
    if elsewhere:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / elsewhere))
    assert main(["whoami", "--url", server, "--ca-bundle", str(tmp_path / "authority.pem")]) == 0
    monkeypatch.setenv("SLIPWAY_CA_BUNDLE", str(tmp_path / "authority.pem"))
    assert main(["whoami", "--url", server]) == 0
    assert "ada" in capsys.readouterr().out


def test_another_authority_is_not_enough_and_a_missing_file_is_named(server, capsys, tmp_path):
    assert main(["whoami", "--url", server, "--ca-bundle", str(tmp_path / "stranger.pem")]) == 7
    assert main(["whoami", "--url", server, "--ca-bundle", "nowhere.pem"]) == 2
    assert "nowhere.pem" in capsys.readouterr().err
