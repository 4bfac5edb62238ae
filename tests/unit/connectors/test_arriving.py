"""Large files on their way into landing: what came is kept, and never gone on with wrongly."""

import hashlib
import io
import os
import random
from datetime import UTC, datetime, timedelta

import pytest

from connectors import arriving as module
from connectors.arriving import OVERLAP_BYTES
from connectors.landing import KEPT_FOR, Landing
from ipregister.errors import IncompleteDelivery, OfficeUnreachable, StoreError

CONTENT = random.Random(1).randbytes(1_000_000)
KEY = "KH-abc"


class Line(io.BytesIO):
    """A connection that is lost after so many bytes."""

    def __init__(self, content: bytes, lost_after: int) -> None:
        super().__init__(content)
        self.left = lost_after

    def read(self, size: int | None = -1, /) -> bytes:
        if self.left <= 0:
            raise OfficeUnreachable("lost")
        piece = super().read(min(self.left, 30_000 if size is None else size))
        self.left -= len(piece)
        return piece


@pytest.fixture
def landing(tmp_path):
    return Landing(tmp_path / "landing")


def lose(landing, lost_after, content=CONTENT):
    with landing.arriving(KEY) as arriving, pytest.raises(OfficeUnreachable):
        landing.go_on(Line(content[arriving.resumes_at :], lost_after), arriving)


def finish(landing, content=CONTENT):
    with landing.arriving(KEY) as arriving:
        resumed_at = arriving.resumes_at
        landed = landing.go_on(io.BytesIO(content[resumed_at:]), arriving)
    assert landed.path.read_bytes() == content
    assert landed.sha256 == hashlib.sha256(content).hexdigest()
    assert list(landing.root.glob(".*")) == []
    return resumed_at


def test_a_file_goes_on_where_it_stopped_however_often_it_stops(landing):
    for _ in range(4):
        lose(landing, 200_000 + OVERLAP_BYTES)
    # The first attempt had no overlap to fetch again.
    assert finish(landing) == 4 * 200_000


def test_another_process_goes_on_too_by_what_the_note_vouches_for(landing):
    lose(landing, 300_000)
    with (landing.root / f".part-{KEY}").open("ab") as tail:
        tail.write(b"\0" * 5000)  # written, but not yet safe when the power went
    assert finish(landing) == 300_000 - OVERLAP_BYTES


@pytest.mark.parametrize("damage", ["part", "note", "no note", "cut"])
def test_what_is_damaged_is_fetched_from_its_start(landing, damage):
    lose(landing, 300_000)
    part, note = landing.root / f".part-{KEY}", landing.root / f".part-{KEY}.note"
    match damage:
        case "part":
            with part.open("r+b") as opened:
                opened.write(b"other")
        case "note":
            note.write_text("{")
        case "no note":
            note.unlink()
        case "cut":
            os.truncate(part, 1000)
    assert finish(landing) == 0


def test_another_file_of_the_same_size_is_seen_and_begun_anew(landing):
    lose(landing, 300_000)
    other = random.Random(2).randbytes(len(CONTENT))
    with landing.arriving(KEY) as arriving, pytest.raises(IncompleteDelivery, match="not the one"):
        landing.go_on(io.BytesIO(other[arriving.resumes_at :]), arriving)
    assert finish(landing, other) == 0


@pytest.mark.parametrize("came_before", [0, 300_000])
def test_a_file_that_changed_meanwhile_leaves_nothing(landing, came_before):
    class Changed(io.BytesIO):
        def read(self, size=-1, /):
            if piece := super().read(size):
                return piece
            raise IncompleteDelivery("changed")

    lose(landing, came_before)
    with landing.arriving(KEY) as arriving, pytest.raises(IncompleteDelivery, match="changed"):
        landing.go_on(Changed(CONTENT[arriving.resumes_at :]), arriving)
    assert list(landing.root.iterdir()) == []


def test_a_file_that_ends_before_where_it_stopped_is_another(landing):
    lose(landing, 300_000)
    with landing.arriving(KEY) as arriving, pytest.raises(IncompleteDelivery, match="not the one"):
        landing.go_on(io.BytesIO(CONTENT[arriving.resumes_at : 280_000]), arriving)
    assert finish(landing) == 0


def test_only_one_process_at_a_time_fetches_a_file(landing):
    with (
        landing.arriving(KEY),
        pytest.raises(IncompleteDelivery, match="another process"),
        landing.arriving(KEY),
    ):
        pass
    assert finish(landing) == 0


def test_a_crash_costs_no_more_than_what_came_since_the_last_note(landing, monkeypatch):
    monkeypatch.setattr(module, "NOTED_EVERY_BYTES", 100_000)

    class Crash(Line):
        def read(self, size=-1, /):
            try:
                return super().read(size)
            except OfficeUnreachable:
                raise KeyboardInterrupt from None

    with landing.arriving(KEY) as arriving, pytest.raises(KeyboardInterrupt):
        # CHUNK_BYTES is asked for, 30,000 bytes come at a time: notes at 120,000 and 240,000.
        landing.go_on(_Small(Crash(CONTENT, 300_000)), arriving)
    assert finish(landing) == 240_000 - OVERLAP_BYTES


class _Small:
    def __init__(self, source):
        self.source = source

    def read(self, size, /):
        return self.source.read(min(size, 30_000))


def test_a_sweep_keeps_parts_for_a_while_and_spares_what_is_being_written(landing):
    lose(landing, 300_000)
    now = datetime.now(UTC)
    assert landing.sweep() == 0
    assert landing.sweep(now + KEPT_FOR - timedelta(minutes=1)) == 0
    with landing.arriving(KEY):
        landing.sweep(now + KEPT_FOR + timedelta(minutes=1))
        assert landing.has_part(KEY)
    assert landing.sweep(now + KEPT_FOR + timedelta(minutes=1)) == 2
    assert list(landing.root.iterdir()) == []


def test_a_sweep_spares_a_file_that_is_just_arriving(landing):
    class Swept(io.BytesIO):
        def read(self, size=-1, /):
            assert landing.sweep() == 0
            return super().read(size)

    assert landing.put(Swept(b"<T/>")).path.read_bytes() == b"<T/>"


def test_parts_nobody_wants_any_more_are_forgotten(landing):
    lose(landing, 300_000)
    landing.forget_parts("TH-", [])
    landing.forget_parts("KH-", [KEY])
    assert landing.has_part(KEY)
    landing.forget_parts("KH-", ["KH-other"])
    assert list(landing.root.iterdir()) == []


def test_a_disk_that_fails_is_said_and_leaves_nothing(landing, monkeypatch):
    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StoreError, match="No space left on device"):
            landing.put(io.BytesIO(CONTENT))
        with landing.arriving(KEY) as arriving, pytest.raises(StoreError, match="make room"):
            landing.go_on(io.BytesIO(CONTENT), arriving)
    assert list(landing.root.iterdir()) == []
    assert finish(landing) == 0
