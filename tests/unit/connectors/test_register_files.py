"""What DuckDB remembers of files: nothing of one that was written anew under its name."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.hub import Hub
from connectors.register.engine import parquet
from connectors.register.store import RegisterStore
from connectors.settings import Settings
from ipregister.model import Right


def write(path: Path, *lengths: int) -> None:
    """Write one row of texts; files of one sum of lengths have one size, all of them one second."""
    columns = {f"c{place}": ["x" * length] for place, length in enumerate(lengths)}
    pq.write_table(pa.table(columns), path, use_dictionary=False, write_statistics=False)
    os.utime(path, (1_000_000_000, 1_000_000_000))


def lengths(store: RegisterStore, path: Path) -> tuple[int, ...]:
    with store.connect() as con:
        return con.execute(f"SELECT length(c0), length(c1) FROM {parquet([path])}").fetchall()[0]


def test_a_file_of_one_size_and_second_is_no_other_one_of_its_name(tmp_path: Path) -> None:
    """A delivery is read again into files that have the names of the last one's."""
    store, path = RegisterStore(tmp_path / "register"), tmp_path / "rows.parquet"
    write(path, 100, 50)
    assert lengths(store, path) == (100, 50)
    with store.remembering():
        assert lengths(store, path) == (100, 50)
        write(path, 50, 100)
        with store.remembering():
            assert lengths(store, path) == (50, 100)
    write(path, 60, 90)
    assert lengths(store, path) == (60, 90)
    with store.remembering():
        assert lengths(store, path) == (60, 90)


def test_turns_at_a_register_remember_nothing_of_each_other(tmp_path: Path) -> None:
    hub, path = Hub.create(Settings(home=tmp_path / "hub")), tmp_path / "rows.parquet"
    for given in ((100, 50), (50, 100)):
        write(path, *given)
        with hub.alone("KH", Right.TRADEMARKS):
            assert lengths(hub.register, path) == given
    hub.close()
