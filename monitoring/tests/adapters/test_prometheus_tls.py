"""Prometheus behind TLS: whom the source trusts, and what it shows of itself."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from monitoring.adapters.prometheus.client import Access, Client
from monitoring.errors import MetricsUnavailable

EMPTY = b'{"status": "success", "data": {"result": []}}'


def issued(folder: Path, name: str, issuer=None):
    """A certificate and its key in files; `issuer` None = of itself, an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    parent = issuer or (subject, key)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(parent[0]).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(parent[1], hashes.SHA256())
    )  # fmt: skip
    (folder / f"{name}.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return subject, key


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(EMPTY)))
        self.end_headers()
        self.wfile.write(EMPTY)

    def log_message(self, *args):
        pass


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request, address):
        """A refused handshake is what some of the tests are about."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = issued(folder, "authority")
    issued(folder, "server", authority)
    issued(folder, "client", authority)
    issued(folder, "stranger")
    return folder


@pytest.fixture(scope="module")
def url(folder):
    server = QuietServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def asked(url, **options):
    return Client(Access(url, timeout=2, retries=0, **options)).instant("up", 0, list)


def files(folder, name):
    return {"certificate": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}


def test_a_server_of_our_authority_answers_a_client_of_our_authority(url, folder):
    assert asked(url, ca=str(folder / "authority.pem"), **files(folder, "client")) == []


def test_a_server_of_an_unknown_authority_is_not_asked(url, folder):
    with pytest.raises(MetricsUnavailable, match="certificate verify failed"):
        asked(url, **files(folder, "client"))
    with pytest.raises(MetricsUnavailable, match="certificate verify failed"):
        asked(url, ca=str(folder / "stranger.pem"), **files(folder, "client"))


def test_a_client_that_the_server_does_not_know_is_told_so(url, folder):
    for options in ({}, files(folder, "stranger")):
        with pytest.raises(MetricsUnavailable):
            asked(url, ca=str(folder / "authority.pem"), **options)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verification_is_given_up_only_when_asked_for(url, folder):
    assert asked(url, verify=False, **files(folder, "client")) == []
