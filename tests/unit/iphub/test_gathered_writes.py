"""Small writes of a connection go out together, and none is left behind."""

import asyncio
from typing import Any, cast

import pytest

from iphub.gathered_writes import MOST_HELD_BYTES, GatheredWrites


class Transport:
    """Notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.ended: str | None = None

    def write(self, data: bytes) -> None:
        assert self.ended is None
        self.sent.append(data)

    def writelines(self, parts: list[bytes]) -> None:
        self.sent.append(b"".join(parts))

    def is_closing(self) -> bool:
        return self.ended is not None

    def get_write_buffer_size(self) -> int:
        return 3

    def get_extra_info(self, name: str) -> str:
        return name

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


def _gathered() -> tuple[GatheredWrites, Transport]:
    transport = Transport()
    loop = asyncio.get_running_loop()
    return GatheredWrites(cast(asyncio.Transport, transport), loop), transport


def _run(check: Any) -> None:
    asyncio.run(check())


def test_head_and_body_are_one_write() -> None:
    async def check() -> None:
        gathered, transport = _gathered()
        gathered.write(b"head ")
        gathered.write(b"body")
        assert gathered.get_write_buffer_size() == 3 + len(b"head body")
        assert not transport.sent
        gathered.flush()
        await asyncio.sleep(0)
        assert transport.sent == [b"head body"]

    _run(check)


def test_what_nobody_flushes_goes_with_the_next_turn_of_the_loop() -> None:
    async def check() -> None:
        gathered, transport = _gathered()
        for piece in (b"one", b"two"):
            gathered.write(piece)
            await asyncio.sleep(0)
        assert transport.sent == [b"one", b"two"]

    _run(check)


def test_what_is_large_waits_for_nothing() -> None:
    async def check() -> None:
        gathered, transport = _gathered()
        gathered.write(b"head")
        gathered.write(b"x" * MOST_HELD_BYTES)
        assert [len(sent) for sent in transport.sent] == [4 + MOST_HELD_BYTES]

    _run(check)


@pytest.mark.parametrize(("end", "sent"), [("close", [b"last words"]), ("abort", [])])
def test_a_closed_connection_has_said_everything_an_aborted_one_nothing_more(
    end: str, sent: list[bytes]
) -> None:
    async def check() -> None:
        gathered, transport = _gathered()
        gathered.write(b"last words")
        getattr(gathered, end)()
        await asyncio.sleep(0)
        assert (transport.sent, gathered.is_closing()) == (sent, True)
        assert gathered.get_extra_info("peername") == "peername"

    _run(check)


def test_a_reader_that_has_gone_is_sent_nothing() -> None:
    async def check() -> None:
        gathered, transport = _gathered()
        gathered.write(b"too late")
        transport.close()  # by itself, as when the other side resets the connection
        gathered.flush()
        assert not transport.sent

    _run(check)
