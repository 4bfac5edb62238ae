"""Downloads against a server that answers in any order, in short pieces, or not at all."""

import random
import struct

import pytest

from connectors.sftp import downloads
from connectors.sftp.downloads import FAR_READ_AHEAD_BYTES, READ_AHEAD_FILES, fetch
from connectors.sftp.files import RemoteFile
from connectors.sftp.packets import Limits, Op, Reader, text
from ipregister.errors import IncompleteDelivery, OfficeRefused, OfficeUnreachable

ATTRIBUTES = struct.Struct(">IQII")
FIXED_TIME = 1_700_000_000


class Server:
    """Stands for a wire: answers the requests made, in random order, out of memory."""

    def __init__(self, contents: dict[str, bytes], seed: int = 0, *, shorten: bool = False) -> None:
        self.contents = contents
        self.limits = Limits(1000, open_handles=0)
        self.round_trip_seconds = 0.0
        self.random = random.Random(seed)
        self.shorten = shorten
        self.refused: dict[str, int] = {}
        self.lost_after: int | None = None
        self.asked: list[tuple[int, Op, bytes]] = []
        self.open: set[str] = set()
        self.most_open = 0
        self.asked_of: dict[str, int] = {}
        self._number = 0

    def request(self, op: Op, *fields: bytes) -> int:
        self._number += 1
        self.asked.append((self._number, op, b"".join(fields)))
        if op is Op.READ:
            name, (offset, length) = Reader(fields[0]).path(), struct.unpack(">QI", fields[1])
            # A piece that came short is asked for again; it counts once.
            fresh = length if offset % self.limits.read_bytes == 0 else 0
            self.asked_of[name] = self.asked_of.get(name, 0) + fresh
        return self._number

    def hurry(self) -> None:
        """All answers are there at once."""

    def receive(self) -> tuple[int, int, bytes]:
        if self.lost_after is not None:
            self.lost_after -= 1
            if self.lost_after < 0:
                raise OfficeUnreachable("lost")
        assert self.asked, "waits for an answer to nothing"
        number, op, payload = self.asked.pop(self.random.randrange(len(self.asked)))
        reader = Reader(payload)
        name = reader.path()
        code, answer = getattr(self, f"on_{op.name.lower()}")(name, reader)
        return code, number, answer

    def on_open(self, name: str, _: Reader) -> tuple[int, bytes]:
        if code := self.refused.get(name):
            return Op.STATUS, struct.pack(">I", code) + text("no") + text("")
        self.open.add(name)
        self.most_open = max(self.most_open, len(self.open))
        return Op.HANDLE, text(name)

    def on_read(self, name: str, reader: Reader) -> tuple[int, bytes]:
        offset, length = reader.u64(), reader.u32()
        piece = self.contents[name][offset : offset + length]
        if self.shorten and len(piece) > 1:
            piece = piece[: self.random.randint(1, len(piece))]
        if not piece:
            return Op.STATUS, struct.pack(">I", 1)
        return Op.DATA, text(piece)

    def on_fstat(self, name: str, _: Reader) -> tuple[int, bytes]:
        size = len(self.contents[name])
        return Op.ATTRS, ATTRIBUTES.pack(0x9, size, FIXED_TIME, FIXED_TIME)

    def on_close(self, name: str, _: Reader) -> tuple[int, bytes]:
        self.open.remove(name)
        return Op.STATUS, struct.pack(">I", 0)


def listed(contents: dict[str, bytes]) -> list[RemoteFile]:
    return [RemoteFile(name, len(data), FIXED_TIME) for name, data in contents.items()]


def random_contents(seed: int, count: int, up_to: int) -> dict[str, bytes]:
    source = random.Random(seed)
    return {f"/{n:03d}": source.randbytes(source.randrange(up_to)) for n in range(count)}


@pytest.mark.parametrize("shorten", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_of_answers_files_come_whole_and_in_order(seed, shorten):
    contents = random_contents(seed, 90, 5000)
    server = Server(contents, seed, shorten=shorten)
    found = [(d.file.path, d.read()) for d in fetch(server, listed(contents))]
    assert found == list(contents.items())
    assert (server.asked, server.open) == ([], set())
    assert server.most_open <= READ_AHEAD_FILES


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("shorten", [False, True])
@pytest.mark.parametrize("leave", [False, True])
def test_reading_ahead_keeps_to_its_budget_and_goes_on_to_the_end(monkeypatch, leave, shorten, far):
    monkeypatch.setattr(downloads, "FAR_READ_AHEAD_BYTES" if far else "READ_AHEAD_BYTES", 20_000)
    contents = {f"/{n:03d}": bytes([n]) * 5000 for n in range(100)}
    server = Server(contents, 1, shorten=shorten)
    server.round_trip_seconds = 0.1 if far else 0.001
    ahead = []
    for number, download in enumerate(fetch(server, listed(contents))):
        ahead.append(
            sum(asked for name, asked in server.asked_of.items() if name >= f"/{number:03d}")
        )
        if leave and number % 2:
            assert download.read(100)
        else:
            assert download.read() == contents[download.file.path]
    assert max(ahead) <= 20_000 + 5000 + server.limits.read_bytes
    assert sorted(ahead[50:90])[20] > 10_000
    assert (server.asked, server.open) == ([], set())
    assert FAR_READ_AHEAD_BYTES <= 32 * 1024 * 1024


def test_the_servers_limit_of_open_files_is_kept():
    contents = random_contents(3, 50, 3000)
    server = Server(contents, 3)
    server.limits = Limits(1000, open_handles=5)
    assert [d.read() for d in fetch(server, listed(contents))] == list(contents.values())
    assert server.most_open <= 5


def test_one_file_in_trouble_does_not_disturb_the_others():
    contents = random_contents(4, 10, 3000)
    server = Server(contents, 4)
    server.refused = {"/003": 3, "/005": 2}
    outcome = {}
    for download in fetch(server, listed(contents)):
        try:
            outcome[download.file.path] = download.read()
        except (OfficeRefused, IncompleteDelivery) as exc:
            outcome[download.file.path] = type(exc)
    assert outcome == contents | {"/003": OfficeRefused, "/005": IncompleteDelivery}


@pytest.mark.parametrize("now", [b"", b"x" * 2999, b"x" * 3001])
def test_a_file_of_another_size_than_listed_is_incomplete(now):
    server = Server({"/a": now})
    (download,) = (d for d in fetch(server, [RemoteFile("/a", 3000, FIXED_TIME)]) if _refuses(d))
    assert download.file.path == "/a"


def _refuses(download):
    with pytest.raises(IncompleteDelivery, match="changed while it was being read"):
        download.read()
    return True


@pytest.mark.parametrize("in_order", [True, False])
def test_what_was_seen_before_the_last_byte_came_proves_nothing(monkeypatch, in_order):
    """A server that gives half of what it is asked for, or looks before it reads."""

    class Rewritten(Server):
        written_at = FIXED_TIME

        def on_fstat(self, name: str, _: Reader) -> tuple[int, bytes]:
            told = ATTRIBUTES.pack(0x9, 3000, self.written_at, self.written_at)
            self.contents[name], self.written_at = b"2" * 3000, FIXED_TIME + 1
            return Op.ATTRS, told

    server = Rewritten({"/a": b"1" * 3000}, shorten=in_order)
    monkeypatch.setattr(server.random, "randrange", lambda n: 0 if in_order else n - 1)
    monkeypatch.setattr(server.random, "randint", lambda _, most: most // 2)
    (download,) = (d for d in fetch(server, [RemoteFile("/a", 3000, FIXED_TIME)]) if _refuses(d))
    assert download.file.path == "/a"


@pytest.mark.parametrize("after", [0, 1, 5, 20])
def test_a_lost_connection_is_said_at_every_further_read(after):
    contents = random_contents(6, 20, 5000)
    server = Server(contents, 6)
    server.lost_after = after
    for download in fetch(server, listed(contents)):
        try:
            download.read()
        except OfficeUnreachable:
            break
    else:
        pytest.fail("the loss went unnoticed")


def test_a_download_that_was_left_cannot_be_read():
    contents = {"/a": b"1", "/b": b"2"}
    first, _ = fetch(Server(contents), listed(contents))
    with pytest.raises(ValueError, match="left"):
        first.read(1)


def test_nothing_to_fetch_asks_nothing():
    server = Server({})
    assert list(fetch(server, [])) == []
    assert server.asked_of == {}
