"""Cursors: opaque, deterministic, and of no use to anyone else or for anything else."""

import pytest

from connectors.cursors import Cursors
from ipregister.errors import InvalidRequest

CURSORS = Cursors(b"k" * 32)
BOUND = ("records", "client-1", "KH")


def test_a_cursor_opens_to_its_place_and_is_always_the_same() -> None:
    cursor = CURSORS.seal("ខ្មែរ".encode(), BOUND)
    assert CURSORS.open(cursor, BOUND) == "ខ្មែរ".encode()
    assert cursor == CURSORS.seal("ខ្មែរ".encode(), BOUND)
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_a_cursor_shows_nothing_of_its_place() -> None:
    assert len(CURSORS.seal(b"0001", BOUND)) == len(CURSORS.seal(b"9999", BOUND))
    assert CURSORS.seal(b"0001", BOUND)[:8] != CURSORS.seal(b"0002", BOUND)[:8]


@pytest.mark.parametrize(
    "bound_to",
    [
        ("records", "client-2", "KH"),
        ("records", "client-1", "TH"),
        ("changes", "client-1", "KH"),
        ("records", "client-1"),
        ("records", "client-1KH", ""),
    ],
)
def test_a_foreign_cursor_is_refused(bound_to: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        CURSORS.open(CURSORS.seal(b"place", BOUND), bound_to)


def test_another_hubs_cursor_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Cursors(b"x" * 32).open(CURSORS.seal(b"place", BOUND), BOUND)


@pytest.mark.parametrize("place", [b"place", b"place1", b"place12"])
def test_every_altered_character_is_refused(place: bytes) -> None:
    cursor = CURSORS.seal(place, BOUND)
    for index, letter in enumerate(cursor):
        altered = cursor[:index] + ("A" if letter != "A" else "B") + cursor[index + 1 :]
        with pytest.raises(InvalidRequest):
            CURSORS.open(altered, BOUND)


def test_another_spelling_of_the_same_cursor_is_refused() -> None:
    cursor = CURSORS.seal(b"place1", BOUND)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = cursor[:-1] + alphabet[alphabet.index(cursor[-1]) + 1]  # in bits nobody reads
    for other in (sibling, cursor + "=", cursor + "=="):
        with pytest.raises(InvalidRequest):
            CURSORS.open(other, BOUND)


@pytest.mark.parametrize("junk", ["", "=", "%", "ក", "A" * 9_000, "a b", "AAAA", "\x00"])
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(InvalidRequest):
        CURSORS.open(junk, BOUND)
