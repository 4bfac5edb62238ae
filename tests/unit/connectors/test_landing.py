"""Landing: whole files under their own hash, or nothing."""

import hashlib
import io
import os
from pathlib import Path

import pytest

from connectors.landing import Landing


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


@pytest.mark.parametrize(
    "content", [b"", b"<T/>", os.urandom(3 << 20)], ids=["empty", "xml", "3 MiB"]
)
def test_what_came_in_lies_there_byte_for_byte(landing: Landing, content: bytes) -> None:
    landed = landing.put(io.BytesIO(content))
    assert landed.sha256 == hashlib.sha256(content).hexdigest()
    assert landed.bytes == len(content)
    assert landed.path.read_bytes() == content
    assert landed.path == landing.root / landed.sha256[:2] / landed.sha256
    assert landing.has(landed.sha256)
    with landing.open(landed.sha256) as source:
        assert source.read() == content


def test_the_same_bytes_again_change_nothing(landing: Landing) -> None:
    first = landing.put(io.BytesIO(b"<T/>"))
    before = first.path.stat()
    assert landing.put(io.BytesIO(b"<T/>")) == first
    after = first.path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_nobody_may_write_to_what_has_landed(landing: Landing) -> None:
    assert landing.put(io.BytesIO(b"x")).path.stat().st_mode & 0o777 == 0o440


class Broken(io.RawIOBase):
    """A connection that dies after some bytes."""

    def __init__(self) -> None:
        self.left = 2

    def read(self, size: int = -1, /) -> bytes:
        self.left -= 1
        if self.left:
            return b"half a file"
        raise ConnectionError


def test_an_arrival_that_dies_leaves_nothing(landing: Landing) -> None:
    with pytest.raises(ConnectionError):
        landing.put(Broken())
    assert list(landing.root.iterdir()) == []


def test_a_sweep_removes_what_a_crash_left_and_nothing_else(landing: Landing) -> None:
    kept = landing.put(io.BytesIO(b"kept"))
    (landing.root / ".arriving-crashed").write_bytes(b"half")
    assert landing.sweep() == 1
    assert landing.sweep() == 0
    assert kept.path.read_bytes() == b"kept"


def test_a_local_file_lands_like_a_stream(landing: Landing, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"<T/>")
    assert landing.put_file(tmp_path / "a.xml") == landing.put(io.BytesIO(b"<T/>"))
