"""A real OpenID provider in a process of its own: oidc-provider-mock, made to insist on PKCE.

Run as a program it is the provider. Whatever claims `person` gives somebody stand in the ID token as they are,
`iss`, `aud`, `exp` and `nonce` too, so that a provider can lie.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlsplit

import requests

from tests.servers import process
from tests.servers.waiting import ROOT, free_port


@dataclass
class OpenIDProvider:
    """One provider; any client is known to it."""

    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="slipway-openid-")))

    def __enter__(self) -> Self:
        log = self.folder / "openid.log"
        with log.open("ab") as output:
            self._process = process.subprocess.Popen(
                [sys.executable, "-m", "tests.servers.openid", str(self.port)],
                cwd=ROOT, stdout=output, stderr=output,
                env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"},
            )  # fmt: skip
        process.until(self._answers, self._process, log)
        return self

    def __exit__(self, *_: object) -> None:
        process.ended(self._process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def issuer(self) -> str:
        """How it calls itself."""
        return f"http://127.0.0.1:{self.port}"

    def person(self, subject: str, **claims: Any) -> None:
        """Somebody it knows, with what it says of them."""
        requests.put(f"{self.issuer}/users/{quote(subject)}", json=claims, timeout=10).raise_for_status()

    def agrees(self, address: str, subject: str) -> str:
        """Somebody signs in on its page; the address that it sends their browser to."""
        answer = requests.post(address, data={"sub": subject}, allow_redirects=False, timeout=10)
        return answer.headers["Location"]

    def denies(self, address: str) -> str:
        """Somebody presses the other button."""
        answer = requests.post(address, data={"action": "deny"}, allow_redirects=False, timeout=10)
        return answer.headers["Location"]

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.issuer}/.well-known/openid-configuration", timeout=5).ok
        except requests.ConnectionError:
            return False


class Pkce:
    """Gives tokens only to whoever knows the verifier of the challenge that the sign-in began with."""

    def __init__(self, app: Any) -> None:
        self.app, self.challenges = app, {}

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"] == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            said = parse_qs(body.decode())
            digest = hashlib.sha256(said.get("code_verifier", [""])[0].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if self.challenges.pop(said.get("code", [""])[0], None) != challenge:
                start("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "invalid_grant"}']
        asked = parse_qs(environ["QUERY_STRING"])

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            place = parse_qs(urlsplit(dict(headers).get("Location", "")).query)
            if "code" in place and asked.get("code_challenge_method") == ["S256"]:
                self.challenges[place["code"][0]] = asked["code_challenge"][0]
            return start(status, headers, *rest)

        return self.app(environ, begin)


if __name__ == "__main__":
    import oidc_provider_mock
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", int(sys.argv[1]), Pkce(oidc_provider_mock.app(require_nonce=True)), threaded=True)
