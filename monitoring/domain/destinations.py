"""Which network addresses a notice or a hook may be sent to."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from monitoring.errors import BadSetting

Network = str
# IPv6 addresses that carry an IPv4 one for a translator on the way (RFC 6052, RFC 8215).
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


def refusal(address: str, allowed: Iterable[Network] = ()) -> str:
    """Why nothing may be sent to this IP address; empty when it may.

    Only addresses of the public internet are open: loopback, private, link-local (where clouds keep their
    metadata), multicast and reserved ones are not, unless a network of `allowed` (CIDR) has them. An IPv4
    address that is wrapped in an IPv6 one counts as what it is.
    """
    try:
        inner = _unwrapped(ip_address(address.partition("%")[0]))
    except ValueError:
        return f"{address!r} is not an IP address"
    if any(inner in ip_network(network, strict=False) for network in allowed):
        return ""
    if inner.is_global and not inner.is_multicast:
        return ""
    return f"{inner} is {_kind(inner)}"


def check_networks(networks: Iterable[Network]) -> None:
    """BadSetting for a network that is none."""
    for network in networks:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise BadSetting(str(error)) from error


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _kind(address: IPv4Address | IPv6Address) -> str:
    names = ("loopback", "link_local", "multicast", "unspecified", "private", "reserved")
    found = next((name for name in names if getattr(address, f"is_{name}")), "not_public")
    return f"a {found.replace('_', '-')} address"
