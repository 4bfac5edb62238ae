"""Streams end when they should: at the end, when the client goes, when it stops reading."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from api import streams
from api.streams import Leave, Piece, Slots, Streamed

Sent = list[dict[str, Any]]


class Produced:
    """Pieces to send, and what became of them."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.left, self.taken, self.closed = list(pieces), 0, 0

    def __call__(self) -> Piece | None:
        self.taken += 1
        if not self.left:
            return None
        if isinstance(data := self.left.pop(0), Exception):
            raise data
        return Piece(data)

    def close(self) -> None:
        self.closed += 1


def run(
    produced: Produced,
    *,
    send: Callable[[Any, Sent], Any] | None = None,
    gone_after: int | None = None,
    leave: Leave = lambda _: True,
    **scope: Any,
) -> Sent:
    """Send an answer to a client that leaves after some messages, or never."""
    sent: Sent = []
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def take(message: Any) -> None:
        sent.append(message)
        if len(sent) == gone_after:
            left.set()
        await asyncio.sleep(0)
        if send is not None:
            await send(message, sent)

    answer = Streamed(produced, leave, produced.close, {"Content-Type": "application/x-ndjson"})
    asyncio.run(answer({"type": "http", "method": "GET"} | scope, receive, take))
    return sent


def bodies(sent: Sent) -> list[bytes]:
    return [message["body"] for message in sent[1:]]


def test_a_stream_sends_every_piece_and_an_end() -> None:
    produced = Produced(b"a", b"", b"b")
    sent = run(produced)
    assert bodies(sent) == [b"a", b"b", b""]
    assert [message.get("more_body", False) for message in sent[1:]] == [True, True, False]
    assert produced.closed == 1


def test_a_client_that_goes_is_not_read_for_any_longer() -> None:
    produced = Produced(*[b"x"] * 100)
    sent = run(produced, gone_after=3)
    assert produced.taken < 10
    assert produced.closed == 1
    assert bodies(sent)[-1] == b"x"  # no end: what it has is a part


def test_what_may_not_leave_any_more_does_not_and_nothing_behind_it() -> None:
    produced, may = Produced(*[b"x"] * 100), iter([True, True, False])
    assert bodies(run(produced, leave=lambda _: next(may))) == [b"x", b"x"]
    assert produced.taken < 10
    assert produced.closed == 1


def test_a_client_that_stops_reading_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STALL_SECONDS", 0.01)

    async def stuck(message: Any, sent: Sent) -> None:
        if len(sent) == 3:
            await asyncio.Event().wait()

    produced = Produced(*[b"x"] * 100)
    assert bodies(run(produced, send=stuck)) == [b"x", b"x"]
    assert produced.closed == 1


def test_a_stream_has_an_end_however_slow_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WHOLE_SECONDS", 0.05)

    async def slow(_message: Any, _sent: Sent) -> None:
        await asyncio.sleep(0.02)

    produced = Produced(*[b"x"] * 100)
    assert b"" not in bodies(run(produced, send=slow))
    assert produced.closed == 1


def test_nothing_is_closed_while_it_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WHOLE_SECONDS", 0.05)
    log = []

    def produce() -> Piece:
        log.append("reads")
        time.sleep(0.3)
        log.append("has read")
        return Piece(b"a")

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def take(_: Any) -> None:
        return None

    answer = Streamed(produce, lambda _: True, lambda: log.append("closed"), {})
    asyncio.run(answer({"type": "http", "method": "GET"}, receive, take))
    assert log == ["reads", "has read", "closed"]


def test_a_store_that_fails_leaves_the_stream_without_end() -> None:
    produced = Produced(b"a", ValueError("the disk"))
    with pytest.raises(ValueError, match="the disk"):
        run(produced)
    assert produced.closed == 1


def test_nothing_is_read_behind_an_error() -> None:
    class Late(Produced):
        def __call__(self) -> Piece | None:
            time.sleep(0.05)  # until then the next is waiting for its turn
            return super().__call__()

    produced = Late(ValueError("the disk"), b"a", b"b")
    with pytest.raises(ValueError, match="the disk"):
        run(produced)
    assert (produced.taken, produced.closed) == (1, 1)


def test_pieces_are_read_one_after_the_other() -> None:
    class Slow(Produced):
        reading, most = 0, 0

        def __call__(self) -> Piece | None:
            self.reading += 1
            self.most = max(self.most, self.reading)
            time.sleep(0.01)
            piece = super().__call__()
            self.reading -= 1
            return piece

    produced = Slow(*[b"x"] * 5)
    assert bodies(run(produced)) == [b"x"] * 5 + [b""]
    assert produced.most == 1


def test_a_head_request_reads_nothing() -> None:
    produced = Produced(b"a")
    assert bodies(run(produced, sentMethod="HEAD")) == [b""]
    assert (produced.taken, produced.closed) == (0, 1)


def test_slots_run_out_and_come_back() -> None:
    slots = Slots(2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert [slots.take() for _ in range(2)] == [True, False]
