"""The audit chain, the append-only history and the migrations, on both databases."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.resources import as_file, files
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from connectors.ledger import BrokenRow, DeliveredFile, Ledger
from connectors.ledger.engine import WAL_ATTEMPTS, write_ahead
from connectors.ledger.schema import APPEND_ONLY, HEAD, METADATA
from ipregister.authorization_forms import parse_withheld
from ipregister.deliveries import Kind, State
from ipregister.errors import ConfigurationError, LedgerConflict
from ipregister.model import Right

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

Together = Callable[..., list[Any]]
Tamper = Callable[[str], None]


@pytest.fixture
def chain(ledger: Ledger) -> Ledger:
    """A ledger with six rows in its chain, of several kinds."""
    content = [DeliveredFile("x.zip", "a" * 64, 1)]
    delivery = ledger.deliveries.record(
        "KH", Right.PATENTS, Kind.UPDATE, "sftp", content, AT, "ipob_kh"
    )
    ledger.deliveries.move(delivery.deliveryId, State.WITHDRAWN, AT, "សុខ", reason="on request")
    client, _ = ledger.clients.add(name="Ann", third_party="Ann", at=AT, by="operator")
    ledger.authorizations.set("KH", "Ann", parse_withheld("patents"), date(2027, 1, 1), AT, "សុខ")
    ledger.authorizations.revoke("KH", "Ann", AT, "សុខ")
    ledger.clients.revoke(client.clientId, at=AT, by="operator")
    assert ledger.audit.head().seq == 6
    assert ledger.verify() is None
    return ledger


def test_the_chain_says_who_did_what_from_what_to_what(chain: Ledger) -> None:
    entries = chain.audit.entries()
    assert [entry.action for entry in entries] == [
        "delivery:received",
        "delivery:withdrawn",
        "client:added",
        "authorization:set",
        "authorization:revoked",
        "client:revoked",
    ]
    nothing = {
        **{"rights": [], "validFrom": None, "validUntil": None, "termsOfUse": "internal_use"},
        **{"purpose": None, "allowedAddresses": [], "reason": None},
    }
    classes = {"allowed": EVERYTHING, "withheld": [], "rows": {}, "freeText": True}
    rights = [{"right": "patents"} | classes]
    shared = nothing | {"version": 1, "rights": rights, "validUntil": "2027-01-01"}
    assert entries[4].document() == {
        "seq": 5,
        "at": "2026-03-04T05:06:07Z",
        "actor": "សុខ",
        "action": "authorization:revoked",
        "subject": "KH:Ann",
        "before": shared,
        "after": nothing | {"version": 2},
    }
    assert (entries[3].before, entries[3].after) == (None, shared)
    assert chain.audit.entries(subject="KH:Ann") == entries[3:5]
    assert chain.audit.entries(after=1, limit=2) == entries[1:3]


EVERYTHING = ["core", "stakeholder", "status_change", "examination", "documents"]

CHANGED = BrokenRow(4, "was changed after it was written")
TAMPERED = {
    "instant": ("UPDATE audit SET at = '2026-03-04T05:06:08Z' WHERE seq = 4", CHANGED),
    "actor": ("UPDATE audit SET actor = 'someone else' WHERE seq = 4", CHANGED),
    "action": ("UPDATE audit SET action = 'authorization:get' WHERE seq = 4", CHANGED),
    "subject": ("UPDATE audit SET subject = 'TH:Ann' WHERE seq = 4", CHANGED),
    "before": ("UPDATE audit SET before = '{}' WHERE seq = 4", CHANGED),
    "before is gone": (
        "UPDATE audit SET before = NULL WHERE seq = 5",
        BrokenRow(5, "was changed after it was written"),
    ),
    "after": ("UPDATE audit SET after = replace(after, '2027', '2028') WHERE seq = 4", CHANGED),
    "after is damaged": ("UPDATE audit SET after = '{' WHERE seq = 4", CHANGED),
    "hash": ("UPDATE audit SET hash = previous_hash WHERE seq = 4", CHANGED),
    "link": (
        "UPDATE audit SET previous_hash = hash WHERE seq = 4",
        BrokenRow(4, "does not follow the row before it"),
    ),
    "first row is gone": (
        "DELETE FROM audit WHERE seq = 1",
        BrokenRow(1, "missing: row 2 follows row 0"),
    ),
    "a row is gone": (
        "DELETE FROM audit WHERE seq = 4",
        BrokenRow(4, "missing: row 5 follows row 3"),
    ),
    "last row is gone": (
        "DELETE FROM audit WHERE seq = 6",
        BrokenRow(6, "missing: the chain was 6 rows long"),
    ),
    "all is gone": ("DELETE FROM audit", BrokenRow(1, "missing: the chain was 6 rows long")),
    "head is gone": (
        "DELETE FROM audit_head",
        BrokenRow(7, "the end of the chain is not recorded"),
    ),
    "head is older": (
        "UPDATE audit_head SET seq = 5",
        BrokenRow(7, "missing: the chain was 5 rows long"),
    ),
    "a row is added": (
        "INSERT INTO audit SELECT 7, at, actor, action, subject, before, after, hash, hash "
        "FROM audit WHERE seq = 6",
        BrokenRow(7, "was changed after it was written"),
    ),
}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_shows(chain: Ledger, tamper: Tamper, what: str) -> None:
    statement, found = TAMPERED[what]
    tamper(statement)
    assert chain.verify() == found


def test_reordering_shows(chain: Ledger, tamper: Tamper) -> None:
    for step in ("999 WHERE seq = 3", "3 WHERE seq = 4", "4 WHERE seq = 999"):
        tamper(f"UPDATE audit SET seq = {step}")
    assert chain.verify() == BrokenRow(3, "does not follow the row before it")


def test_processes_write_one_chain(ledger: Ledger, together: Together) -> None:
    work = """
result = []
for n in range(20):
    files = [DeliveredFile("x", f"{number:02x}{n:02x}" * 16, 1)]
    ledger.deliveries.record("KH", Right.PATENTS, Kind.UPDATE, "api", files, AT, str(number))
"""
    together(3, work)
    assert ledger.audit.head().seq == 60
    assert ledger.verify() is None


def test_what_fails_leaves_neither_row_nor_history(chain: Ledger) -> None:
    delivery = chain.deliveries.list()[0]
    before = chain.audit.head(), chain.deliveries.events(delivery.deliveryId)
    with pytest.raises(LedgerConflict):
        chain.deliveries.move(delivery.deliveryId, State.CHECKING, AT, "me")
    with pytest.raises(LedgerConflict):
        chain.authorizations.revoke("KH", "Ann", AT, "me", expected_version=1)
    after = chain.audit.head(), chain.deliveries.events(delivery.deliveryId)
    assert after == before


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_history(
    chain: Ledger, url: str, table: str, statement: str
) -> None:
    column = METADATA.tables[table].columns.keys()[0]
    engine = create_engine(url)
    with (
        pytest.raises(DBAPIError, match=f"{table} is append-only"),
        engine.begin() as connection,
    ):
        connection.execute(text(statement.format(table, column, column)))
    engine.dispose()


# --- opening and migrating -------------------------------------------------------------------


def test_migrations_make_the_tables_of_the_program(ledger: Ledger, url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_a_missing_migration_would_show(ledger: Ledger, url: str, tamper: Tamper) -> None:
    tamper("ALTER TABLE clients DROP COLUMN das_compat")
    engine = create_engine(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    engine.dispose()
    assert [difference[0] for difference in differences] == ["add_column"]


def test_the_newest_migration_is_the_one_the_program_expects() -> None:
    with as_file(files("connectors.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_opening_again_changes_nothing(chain: Ledger, url: str) -> None:
    head = chain.audit.head()
    again = Ledger.open(url)
    assert again.audit.head() == head
    again.close()


def test_processes_may_open_a_new_ledger_at_the_same_time(url: str, together: Together) -> None:
    heads = together(4, "result = Ledger.open(url).audit.head().seq", before="")
    assert heads == [0, 0, 0, 0]


@pytest.mark.parametrize(("refusals", "opens"), [(2, True), (WAL_ATTEMPTS, False)])
def test_a_new_file_others_are_opening_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, refusals: int, opens: bool
) -> None:
    asked: list[str] = []

    class Busy:
        def execute(self, statement: str) -> None:
            asked.append(statement)
            if len(asked) <= refusals:
                raise OperationalError("database is locked")

    monkeypatch.setattr("connectors.ledger.engine.sleep", lambda _: None)
    switch: Any = write_ahead
    if opens:
        switch(Busy())
    else:
        with pytest.raises(OperationalError, match="locked"):
            switch(Busy())
    assert asked == ["PRAGMA journal_mode = WAL"] * min(refusals + 1, WAL_ATTEMPTS)


def test_a_ledger_of_a_newer_program_is_refused(ledger: Ledger, url: str, tamper: Tamper) -> None:
    tamper("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="does not fit this program"):
        Ledger.open(url)


@pytest.mark.parametrize(
    "wrong",
    ["mysql://x/y", "postgresql://x/y", "sqlite://", "sqlite+aiosqlite:///x", "hub", "x://h:p/y"],
)
def test_other_urls_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="ledger"):
        Ledger.open(wrong)


def test_a_folder_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing, which is no folder: make it"):
        Ledger.open(f"sqlite:///{tmp_path}/missing/ledger.sqlite")


def test_only_its_user_reads_the_file(tmp_path: Path) -> None:
    Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite").close()
    assert (tmp_path / "ledger.sqlite").stat().st_mode & 0o777 == 0o600


def test_sqlite_has_the_settings_we_rely_on(tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")
    with ledger._database.read() as connection:
        names = ("foreign_keys", "journal_mode", "synchronous", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    ledger.close()
    assert values == [1, "wal", 1, 20_000]
