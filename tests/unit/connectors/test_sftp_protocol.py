"""The SFTP wire against servers that misbehave."""

import struct
import time

import pytest

from connectors.sftp.downloads import _OPEN_FOR_READING
from connectors.sftp.packets import SAFE_READ_BYTES, Attributes, Limits, Op, Reader, text
from connectors.sftp.protocol import Wire
from ipregister.errors import OfficeRefused, OfficeUnreachable


def packet(op: int, payload: bytes) -> bytes:
    return struct.pack(">IB", len(payload) + 1, op) + payload


PLACE = packet(Op.NAME, struct.pack(">II", 1, 1) + text("/") + text("") + struct.pack(">I", 0))
VERSION = packet(Op.VERSION, struct.pack(">I", 3))
HELLO = (VERSION, PLACE)
OFFERS_LIMITS = packet(Op.VERSION, struct.pack(">I", 3) + text("limits@openssh.com") + text("1"))


class Channel:
    """Gives the prepared answers, one or a piece of one at a time, then its end."""

    def __init__(self, *answers: bytes, piece: int = 1 << 20, pause: float = 0.0) -> None:
        self.answers = [answer for answer in answers if answer]
        self.piece, self.pause = piece, pause
        self.sent = b""

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        time.sleep(self.pause)
        if not self.answers:
            return b""
        answer = self.answers.pop(0)
        cut = min(size, self.piece)
        if answer[cut:]:
            self.answers.insert(0, answer[cut:])
        return answer[:cut]


def wire(channel: Channel, *, timeout_seconds: float = 5.0) -> Wire:
    return Wire(channel, timeout_seconds=timeout_seconds)


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_packets_are_put_together_however_they_are_cut(piece):
    first, second = (
        packet(Op.STATUS, struct.pack(">II", 1, 0)),
        packet(Op.DATA, struct.pack(">I", 2)),
    )
    sftp = wire(Channel(*HELLO, first, second, piece=piece))
    assert sftp.receive() == (Op.STATUS, 1, struct.pack(">I", 0))
    assert sftp.receive() == (Op.DATA, 2, b"")


def test_requests_are_sent_together_and_numbered():
    channel = Channel(*HELLO, packet(Op.STATUS, struct.pack(">I", 2)))
    sftp = wire(channel)
    channel.sent = b""
    numbers = [sftp.request(Op.CLOSE, text("a")), sftp.request(Op.CLOSE, text("b"))]
    assert channel.sent == b""
    sftp.receive()
    assert numbers == [2, 3]
    assert channel.sent == b"".join(
        packet(Op.CLOSE, struct.pack(">I", number) + text(name))
        for number, name in zip(numbers, "ab", strict=True)
    )


def test_without_the_extension_reads_are_small():
    assert wire(Channel(*HELLO)).limits == Limits(SAFE_READ_BYTES, 0)


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ((262_144, 261_120, 261_120, 1019), Limits(261_120, 1019)),
        ((0, 1 << 40, 0, 0), Limits(261_120, 0)),
        ((40_000, 0, 0, 3), Limits(38_976, 3)),
        ((34_000, 32_768, 0, 10), Limits(32_768, 10)),
        ((0, 0, 0, 0), Limits(SAFE_READ_BYTES, 0)),
    ],
)
def test_the_servers_limits_are_honoured(said, taken):
    reply = packet(Op.EXTENDED_REPLY, struct.pack(">I4Q", 1, *said))
    assert wire(Channel(OFFERS_LIMITS, reply)).limits == taken


@pytest.mark.parametrize(
    "answer",
    [
        b"Welcome to the office's FTP server\r\n",
        packet(Op.VERSION, struct.pack(">I", 2)),
        packet(Op.STATUS, struct.pack(">I", 3)),
        struct.pack(">I", 1 << 31) + b"x" * 100,
        struct.pack(">I", 0),
    ],
)
def test_who_speaks_something_else_is_refused(answer):
    with pytest.raises(OfficeRefused):
        wire(Channel(answer))


@pytest.mark.parametrize("cut", range(len(VERSION + PLACE)))
def test_a_connection_that_ends_early_is_unreachable(cut):
    with pytest.raises(OfficeUnreachable):
        wire(Channel(b"".join(HELLO)[:cut]))


def test_a_server_that_trickles_single_bytes_is_unreachable():
    answer = packet(Op.DATA, struct.pack(">I", 1) + text(b"x" * 2000))
    channel = Channel(*HELLO, answer)
    sftp = wire(channel, timeout_seconds=0.1)
    channel.piece, channel.pause = 1, 0.005
    with pytest.raises(OfficeUnreachable, match="no complete answer"):
        sftp.receive()


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", struct.pack(">I", 5) + b"four"])
def test_an_answer_shorter_than_it_says_is_refused(payload):
    with pytest.raises(OfficeRefused, match="shorter than it says"):
        Reader(payload).string()


def test_attributes_are_read_whatever_else_comes_with_them():
    flags = 0x1 | 0x2 | 0x4 | 0x8 | 0x80000000
    packed = struct.pack(">IQIIIIII", flags, 5_000_000_000, 0, 0, 0o100644, 1, 1_700_000_000, 1)
    reader = Reader(packed + text("acl") + text("x") + b"rest")
    seen = reader.attributes()
    assert seen == Attributes(5_000_000_000, 0o100644, 1_700_000_000)
    assert (seen.is_file, seen.is_folder, reader.at_end()) == (True, False, False)


def test_a_path_that_is_not_utf8_survives():
    assert text(Reader(text(b"\xcb\xd2.xml")).path()) == text(b"\xcb\xd2.xml")


def test_there_is_no_message_that_changes_anything_at_an_office() -> None:
    # draft-ietf-secsh-filexfer-02: WRITE, SETSTAT, FSETSTAT, REMOVE, MKDIR, RMDIR, RENAME, SYMLINK.
    assert not set(Op) & {6, 9, 10, 13, 14, 15, 18, 20}
    assert struct.unpack(">II", _OPEN_FOR_READING) == (0x1, 0)  # SSH_FXF_READ, no more
