"""The server's HTTP protocol with an end to everything a caller can draw out.

uvicorn parses and dispatches; what it leaves open is closed here: heads and addresses without
end, a head or a body that trickles in, an answer nobody takes, connections without number.
What a request may contain is the application's affair.
"""

import asyncio
import secrets
from http import HTTPStatus
from typing import Any, cast

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.problems import refuse
from iphub.gathered_writes import GatheredWrites
from iphub.plain_requests import PlainRequests, framing

MAX_HEAD_BYTES = 65_536
"""Address and headers together: a token, a proof and a cursor take about 8,000."""

MAX_URL_BYTES = 20_000
"""The longest query the API reads has 16,384."""

HEAD_SECONDS = 10.0
"""From a connection, or the first byte of a request, to the end of its head."""

STALL_SECONDS = 30.0
"""Without a byte of a body that is not complete, or of an answer that is not taken."""

LOOK_SECONDS = 5.0

MAX_CONNECTIONS = 800
"""Of one worker; an ordinary process may open 1,024 files."""

REFUSED = {400: "no_http_request", 414: "address_too_long", 431: "headers_too_long"}
"""Codes of the statuses with which a connection ends before the application is asked."""


def _refusal(code: str, **headers: str) -> bytes:
    number = secrets.token_hex(8)
    headers |= {"Connection": "close", "X-Request-Id": number}
    answer = refuse(Request({"type": "http", "requestId": number}), code, headers=headers)
    lines = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
    phrase = HTTPStatus(answer.status_code).phrase.encode()
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (answer.status_code, phrase, lines, bytes(answer.body))


class GuardedHttp(HttpToolsProtocol):
    """One connection, watched."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        """Start with nothing received."""
        super().__init__(*args, **keywords)
        self.parser = PlainRequests(self)
        # An answer is due although the request says `Connection: close` and more follows it.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._left_out = b""
        self._again = False
        self._head_bytes = 0
        self._in_head = True
        self._refused = 400
        self._since = self._moved = self._taken = self.loop.time()
        self._unsent = 0
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or turn it away when there are too many."""
        self._gathered = GatheredWrites(transport, self.loop)
        super().connection_made(cast(asyncio.Transport, self._gathered))
        if len(self.connections) > MAX_CONNECTIONS:
            transport.write(_refusal("busy", **{"Retry-After": "5"}))
            transport.close()
            return
        self._watch = self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; of a head only so many."""
        self._moved = self.loop.time()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # One long header is not reported before it ends.
        if self._in_head and self._head_bytes > 2 * MAX_HEAD_BYTES:
            self._refused = 431
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._again:
            return
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._since = self._moved

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        if self._again:
            return
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if self._again:
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head."""
        if self._again:
            self._again = False
            return
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self._left_out = framing(self.headers)

    def on_message_complete(self) -> None:
        """End a request, unless its body was left out and comes now."""
        if not self._left_out:
            super().on_message_complete()

    def left_out(self) -> bytes:
        """Return a head for the body that comes, and pass over what the parser says of it."""
        head, self._left_out = self._left_out, b""
        self._again = bool(head)
        return head

    def on_response_complete(self) -> None:
        """Wait for the next request; how long is uvicorn's keep-alive."""
        self._since = self._moved = self.loop.time()
        self._gathered.flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or too much of one."""
        self.transport.write(_refusal(REFUSED[self._refused]))
        self.transport.close()

    def _refuse(self, status: int) -> None:
        self._refused = status
        raise ValueError("too large")  # the parser stops and uvicorn calls ``send_400_response``

    def _look(self) -> None:
        """Close the connection when it has made no progress for too long."""
        if self.transport.is_closing():
            return
        now = self.loop.time()
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        if unsent == 0 or unsent != before:
            self._taken, self._unsent = now, unsent
        busy = self.cycle is not None and not self.cycle.response_complete
        # Between two requests keep-alive is armed, until any byte comes.
        waiting = not busy and self.timeout_keep_alive_task is None
        late = waiting and now - self._since > HEAD_SECONDS
        stalled = busy and self.cycle.more_body and now - self._moved > STALL_SECONDS
        if late or stalled or (unsent and now - self._taken > STALL_SECONDS):
            self.transport.abort()
            return
        self._watch = self.loop.call_later(LOOK_SECONDS, self._look)
