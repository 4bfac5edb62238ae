"""Many records in one answer, whatever their number: read, encoded and sent piece by piece.

While one piece goes out the next two are read in a thread. A client that leaves, or stops
reading, or takes too long, or may not have the rest any more, frees the reading; what it got is
then visibly incomplete, because the last chunk of the transfer is missing. The body never repeats
anything from the request, so compressing it gives nothing away.

Standards: RFC 9110 §12.5.3 (Accept-Encoding), RFC 8878 (zstd), RFC 1952 (gzip).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.negotiation import said
from connectors.exports.compression import Compressor

STALL_SECONDS = 30
"""How long a client may take to accept one piece of about a megabyte."""

WHOLE_SECONDS = 1_800
"""How long a stream may last: until then the store's log cannot shrink. 2 GB at 10 Mbit/s."""

MAX_STREAMS = 16
"""Streams of one worker at a time; more would wait for the same two cores anyway."""

ENCODINGS = ("zstd", "gzip")

AHEAD = 2
"""Pieces that are read while one is sent. With one the thread would wait for the interpreter, which
the loop keeps while it writes; with two it goes from one to the next before the loop is awake."""


class Piece(NamedTuple):
    """Bytes to send, how many rows are in them, and whose receipt is not written yet."""

    data: bytes | memoryview
    rows: int = 0
    records: Sequence[str] = ()


Produce = Callable[[], Piece | None]
"""Returns the next piece, ``None`` at the end; called in a thread, never twice at a time."""

Leave = Callable[[Piece], bool]
"""Called for each piece at the moment it would leave; tells whether it may."""


class Slots:
    """How many streams a worker may have open: each holds a connection and a megabyte or two."""

    def __init__(self, limit: int = MAX_STREAMS) -> None:
        """Start with ``limit`` free slots."""
        self._free = limit

    def take(self) -> bool:
        """Take a slot, if there is one."""
        taken = self._free > 0
        self._free -= taken
        return taken

    def give_back(self) -> None:
        """Free a slot; each is given back once."""
        self._free += 1


def goes_without_body(scope: Scope) -> bool:
    """Tell whether only the head of an answer is asked for; routes are told GET (``envelope``)."""
    return scope.get("sentMethod") == "HEAD"


class Streamed(Response):
    """An answer made while it is sent."""

    def __init__(
        self,
        produce: Produce,
        leave: Leave,
        close: Callable[[], None],
        headers: Mapping[str, str],
        *,
        status: int = 200,
    ) -> None:
        """Prepare to send what ``produce`` returns while ``leave`` lets it.

        ``close`` is called in any case.
        """
        super().__init__(None, status, dict(headers))
        if "Content-Length" not in headers:
            del self.headers["content-length"]
        self._produce, self._leave = produce, leave
        self._close = close
        self._ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        gone = asyncio.ensure_future(_disconnected(receive))
        thread = ThreadPoolExecutor(1)
        ahead = deque[asyncio.Future[Piece | None]]()
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            if not goes_without_body(scope):
                async with asyncio.timeout(WHOLE_SECONDS):
                    read = partial(asyncio.get_running_loop().run_in_executor, thread, self._read)
                    ahead += [read() for _ in range(AHEAD)]
                    # Waiting for a piece is shielded: its thread goes on, whoever has stopped
                    # waiting, and is waited for below.
                    while (piece := await asyncio.shield(ahead[0])) is not None:
                        if gone.done() or not self._leave(piece):
                            return
                        ahead.popleft()
                        ahead.append(read())
                        if piece.data:
                            await _send(send, piece.data)
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            # Not an error of ours: without the last chunk the client knows it has a part only.
            return
        finally:
            gone.cancel()
            thread.shutdown(wait=False, cancel_futures=True)
            # What has begun cannot be stopped, only waited for.
            await asyncio.gather(*ahead, return_exceptions=True)
            await run_in_threadpool(self._close)

    def _read(self) -> Piece | None:
        """Return the next piece; nothing more behind the end, or behind an error."""
        if self._ended:
            return None
        self._ended = True
        piece = self._produce()
        self._ended = piece is None
        return piece


async def _send(send: Send, data: bytes | memoryview) -> None:
    async with asyncio.timeout(STALL_SECONDS):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def encoding_of(request: Request) -> str | None:
    """Return the content encoding a client prefers among ours, ``None`` for none."""
    best, quality = None, 0.0
    asked = said(request, b"accept-encoding")
    if not asked:
        return None
    for entry in asked.lower().split(","):
        name, _, parameter = (part.strip() for part in entry.partition(";"))
        try:
            wanted = float(parameter.removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        preferred = (wanted, name == ENCODINGS[0]) > (quality, best == ENCODINGS[0])
        if name in ENCODINGS and wanted > 0 and preferred:
            best, quality = name, wanted
    return best


def compressed(produce: Produce, encoding: str) -> Produce:
    """Return the same bytes, compressed as they come."""
    compressor, ended = Compressor(encoding), False

    def next_piece() -> Piece | None:
        nonlocal ended
        if ended:
            return None
        piece = produce()
        if piece is None:
            ended = True
            return Piece(compressor.finish())
        return piece._replace(data=compressor.compress(piece.data))

    return next_piece
