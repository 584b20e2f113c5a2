"""Which hosts are this machine."""

from __future__ import annotations

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


def host_of(address: str) -> str:
    """Return the host, in lower case, of a URL, an `Origin` or a `Host` header; empty where there is none."""
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""
