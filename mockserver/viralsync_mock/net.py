"""Which hosts are this machine."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Return whether a host without a port is loopback: `localhost` in any case, 127.0.0.0/8 or `::1`, also `[::1]`."""
    bare = host.removeprefix("[").removesuffix("]")
    if bare.lower() == "localhost":
        return True
    try:
        # not `is_loopback` for IPv6: newer Pythons say it of mapped IPv4 addresses too
        return IPv6Address(bare) == IPv6Address("::1") if ":" in bare else IPv4Address(bare).is_loopback
    except ValueError:
        return False


def is_this_machine(host: str) -> bool:
    """Return whether a host leads to this machine, by whatever name or address; looks names up."""
    if is_loopback(host):
        return True
    with suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(host.removeprefix("[").removesuffix("]"), 0, type=socket.SOCK_DGRAM)
        return any(_can_bind(family, address) for family, _, _, _, address in found)
    return False


def _can_bind(family: int, address: tuple[object, ...]) -> bool:
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind(address)
        return True
    return False


def host_of(address: str) -> str:
    """Return the host, in lower case, of a URL, an `Origin` or a `Host` header; empty where there is none."""
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""
