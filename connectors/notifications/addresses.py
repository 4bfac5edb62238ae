"""Which addresses notifications may go to: public HTTPS, and nothing inside.

Judged when a webhook is added and again at every attempt, on the addresses the name has then:
a name that points inside later reaches nothing.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from connectors.networks import Networks
from ipregister.errors import InvalidRequest

Resolve = Callable[[str, int], Sequence[str]]
"""Addresses of a host name; raises ``OSError`` when it has none."""

MAX_URL_CHARACTERS = 2_000
HTTPS_PORT, HTTP_PORT = 443, 80

_NOT_PUBLIC = "url: this host is not known on the public internet."
"""Said of a name that is not there as well: which names there are inside is told to nobody."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be called: where to connect, and what it is called."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the operating system knows them now."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(entry[4][0]) for entry in found})


def judge(url: str, *, inside: Networks = (), resolver: Resolve = resolve) -> Target:
    """Return where a notification to ``url`` goes.

    Args:
        url: as the client gave it.
        inside: networks of ours that may be called, also without TLS and on any port.
        resolver: finds a name's addresses.

    Raises:
        InvalidRequest: it is no such address, or points where nothing of ours may be called;
            the same sentence for everything inside.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidRequest("url: not an address.") from None
    if len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest(f"url: up to {MAX_URL_CHARACTERS} printable ASCII characters.")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise InvalidRequest("url: an address that begins with https://.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidRequest("url: without user, password and fragment.")
    port = port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)
    host = parts.hostname
    try:
        found = [ip_address(address.partition("%")[0]) for address in resolver(host, port)]
    except (OSError, ValueError, UnicodeError):
        raise InvalidRequest(_NOT_PUBLIC) from None
    is_inside = bool(found) and all(_is_in(address, inside) for address in found)
    if not is_inside:
        # Every address, not any: a name with one address inside is how one gets in.
        if not found or not all(_is_public(address) for address in found):
            raise InvalidRequest(_NOT_PUBLIC)
        if parts.scheme != "https" or port != HTTPS_PORT:
            raise InvalidRequest(f"url: https on port {HTTPS_PORT} only.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, str(found[0]))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is of the public internet, also where it wraps another one."""
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        wrapped = wrapped or (address.teredo[1] if address.teredo else None)
        if wrapped is not None or address not in _GLOBAL_UNICAST:
            return False  # reaches an IPv4 address by a way nobody needs, or a network of ours
    return address.is_global and not address.is_multicast


_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is given out for the internet (RFC 4291 §2.4).

Beside it lie translations to IPv4, of which ``is_global`` knows not all (RFC 8215, RFC 7915),
and the site-local addresses of old.
"""


def _is_in(address: IPv4Address | IPv6Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
