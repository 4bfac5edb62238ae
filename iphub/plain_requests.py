"""Requests that ask for another protocol, read as the HTTP/1.1 requests they are.

Java's client and ``curl --http2`` add ``Upgrade: h2c`` to what they send without TLS. The hub
speaks nothing else, and a server that does not may ignore it (RFC 9110 §7.8). The parser does
not: it ends such a request with its head, drops its body, and takes what comes later for a new
request.
"""

from typing import Protocol

from httptools import HttpParserUpgrade, HttpRequestParser

FRAMING = (b"content-length", b"transfer-encoding")
"""Say where a body ends."""


class Reading(Protocol):
    """Whom the parser calls back."""

    def left_out(self) -> bytes:
        """Return a head that announces the body left out, to be passed over; nothing without."""


class PlainRequests(HttpRequestParser):
    """A parser for which ``Upgrade`` is a header like any other."""

    def __init__(self, protocol: Reading) -> None:
        """Start with nothing read."""
        super().__init__(protocol)
        self._protocol = protocol

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # uvicorn has bytes
        """Take bytes; what follows the head of a request that was ended is its body."""
        while True:
            try:
                return super().feed_data(data)
            except HttpParserUpgrade as ended:
                data = data[ended.args[0] :]
                if head := self._protocol.left_out():
                    super().feed_data(head)


def framing(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a head that says no more than where the body ends; nothing when there is none."""
    lines = [b"%b: %b\r\n" % header for header in headers if header[0] in FRAMING]
    return b"".join((b"POST / HTTP/1.1\r\n", *lines, b"\r\n")) if lines else b""
