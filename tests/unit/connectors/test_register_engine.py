"""DuckDB answers the same on every machine."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.register.engine import connect


@pytest.fixture
def bangkok(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Bangkok")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("bangkok")
def test_an_instant_is_in_utc_wherever_the_machine_is(tmp_path: Path) -> None:
    with connect(temporary=tmp_path) as connection:
        asked = "SELECT TIMESTAMPTZ '2026-11-27T20:00:00Z' AS told, CAST(told AS VARCHAR)"
        (told,) = connection.cursor().execute(asked).fetchall()
    assert told == (datetime(2026, 11, 27, 20, tzinfo=UTC), "2026-11-27 20:00:00+00")
    assert told[0].utcoffset().total_seconds() == 0
