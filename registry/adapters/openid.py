"""An OpenID provider: what it says of itself, and whether what it says of a person is true."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import requests

from registry.errors import Forbidden, Unavailable

# Signatures with a key pair. With a shared secret whoever knows it could say anything of anybody.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
TIMEOUT = 10.0
# Clocks may differ by so many seconds.
LEEWAY = 60
# What a provider says of itself is asked again after so many seconds; its keys also when one is not known.
KEPT = 3600.0
_NEEDED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(slots=True)
class _Remembered:
    at: float
    value: dict[str, Any]


_remembered: dict[str, _Remembered] = {}


def provider(issuer: str) -> dict[str, Any]:
    """Its metadata (OpenID Connect Discovery 1.0, section 4): the addresses of its endpoints.

    Raises: Unavailable when it does not answer or is not what it should be.
    """
    found = _document(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    missing = [name for name in _NEEDED if not isinstance(found.get(name), str)]
    if missing:
        raise Unavailable(f"The identity provider does not say its {', '.join(missing)}.")
    if found["issuer"].rstrip("/") != issuer.rstrip("/"):
        raise Unavailable(
            f"The identity provider calls itself {ascii(found['issuer'][:200])}.",
            hint="SLIPWAY_OIDC_ISSUER must be exactly that.",
        )
    return found


def checked(token: str, *, metadata: Mapping[str, Any], client: str, nonce: str | None) -> dict[str, Any]:
    """The claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7): signed by the provider, issued by
    it, for us, in answer to this very sign-in, and still valid.

    Raises: Forbidden, Unavailable.
    """
    try:
        key = _key(token, metadata["jwks_uri"])
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=client,
            issuer=metadata["issuer"],
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except jwt.PyJWTError as error:
        raise _refused(str(error)) from error
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client) != client:
        raise _refused("It was issued to another client")
    if not nonce or claims.get("nonce") != nonce:
        raise _refused("It does not answer this sign-in")
    return claims


def of_person(access_token: str, claims: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of the ID token with what the provider's userinfo adds to them, if it has one."""
    address = metadata.get("userinfo_endpoint")
    if not isinstance(address, str):
        return dict(claims)
    said = _asked("GET", address, headers={"Authorization": f"Bearer {access_token}"})
    # Section 5.3.2: what is said of somebody else must not be used.
    if said.get("sub") != claims["sub"]:
        raise _refused("It speaks of somebody else")
    return {**said, **claims}


def tokens(address: str, payload: Mapping[str, str]) -> dict[str, Any]:
    """What the token endpoint gives for a code: `id_token` and `access_token`."""
    answer = _asked("POST", address, data=payload)
    if not all(isinstance(answer.get(name), str) for name in ("id_token", "access_token")):
        raise _refused("It holds no tokens")
    return answer


def forget() -> None:
    """Ask every provider anew."""
    _remembered.clear()


def _key(token: str, address: str) -> jwt.PyJWK:
    header = jwt.get_unverified_header(token)
    for fresh in (False, True):
        found = _document(address, fresh=fresh).get("keys")
        for key in found if isinstance(found, list) else ():
            if isinstance(key, dict) and key.get("use", "sig") == "sig" and _fits(key, header):
                return jwt.PyJWK(key, algorithm=header.get("alg"))
    raise jwt.InvalidKeyError("It is signed with a key that the provider does not publish")


def _fits(key: Mapping[str, Any], header: Mapping[str, Any]) -> bool:
    named = header.get("kid") is None or key.get("kid") == header["kid"]
    return named and header.get("alg") in ALGORITHMS and key.get("alg", header["alg"]) == header["alg"]


def _document(address: str, *, fresh: bool = False) -> dict[str, Any]:
    known = _remembered.get(address)
    if known is not None and not fresh and time.monotonic() - known.at < KEPT:
        return known.value
    value = _asked("GET", address)
    _remembered[address] = _Remembered(time.monotonic(), value)
    return value


def _asked(method: str, address: str, **said: Any) -> dict[str, Any]:
    try:
        answer = requests.request(method, address, timeout=TIMEOUT, allow_redirects=False, **said)
        found = answer.json()
    except (requests.RequestException, ValueError) as error:
        # Not `str(error)`: it may hold what was sent.
        raise Unavailable(
            f"The identity provider does not answer as one ({type(error).__name__}).",
            hint="Try again; if it goes on, check SLIPWAY_OIDC_ISSUER and the network.",
        ) from error
    if answer.status_code >= 500:
        raise Unavailable(f"The identity provider answered {answer.status_code}.")
    if answer.status_code != 200 or not isinstance(found, dict):
        told = found.get("error", "") if isinstance(found, dict) else ""
        raise _refused(f"The provider said {answer.status_code} {ascii(str(told)[:80])}")
    return found


def _refused(why: str) -> Forbidden:
    return Forbidden(
        f"The identity provider's word was not believed. {why.rstrip('.')}.", hint="Sign in again."
    )
