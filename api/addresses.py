"""Where a request comes from: the peer, or whom a proxy of ours names.

``X-Forwarded-For`` is believed only from the configured proxies, and read from its end: what
stands further left was written by whoever is asking.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.requests import Request

from connectors.networks import Networks

Address = IPv4Address | IPv6Address

SUBSCRIBER_BITS = 64
"""What one subscriber has of IPv6: within it, addresses can be changed at will."""


def client_address(request: Request, proxies: Networks) -> Address | None:
    """Return the address of the caller; ``None`` when there is none (a local socket)."""
    peer = request.scope.get("client")
    address = _read(peer[0]) if peer else None
    if not proxies or address is None or not _is_of(address, proxies):
        return address
    named = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for text in reversed(named):
        found = _read(text.strip())
        if found is None:  # nothing further left can be trusted
            break
        address = found
        if not _is_of(address, proxies):
            break
    return address


def caller(request: Request, proxies: Networks) -> str | None:
    """Return the address of the caller as text, in its one spelling."""
    if proxies:
        address = client_address(request, proxies)
        return None if address is None else str(address)
    peer = request.scope.get("client")
    return _spelt(peer[0]) if peer else None


@lru_cache(maxsize=4096)
def _spelt(text: str) -> str | None:
    address = _read(text)
    return None if address is None else str(address)


def subscriber(address: Address | None) -> str:
    """Return what stands for one caller where addresses are counted."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, SUBSCRIBER_BITS), strict=False))
    return str(address)


@lru_cache(maxsize=4096)
def _read(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # The same caller, however the socket spells it.
    return getattr(address, "ipv4_mapped", None) or address


def _is_of(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
