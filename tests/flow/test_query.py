"""``iphub query``: an operator reads the register in SQL, and reads and changes nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iphub.cli import app
from ipregister.errors import InvalidRequest
from ipregister.model import Right

REFUSED = {
    "a file of the machine": "SELECT * FROM read_text('/etc/passwd')",
    "a file beside the register": "SELECT * FROM read_blob('{canary}')",
    "a way out of the register": "SELECT * FROM read_blob('{home}/register/../canary')",
    "a name that is a file": "FROM '{canary}'",
    "a list of files": "SELECT * FROM glob('{home}/*')",
    "the ledger": "SELECT * FROM sqlite_scan('{home}/ledger.sqlite', 'clients')",
    "a file into the register": "COPY (SELECT 1 AS a) TO '{home}/register/a.parquet'",
    "a file behind an explanation": "EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{home}/register/a'",
    "another database": "ATTACH '{home}/register/a.db'",
    "an extension": "INSTALL httpfs",
    "the lock": "SET enable_external_access = TRUE",
    "the lock by a pragma": "PRAGMA enable_external_access = TRUE",
    "a table": "CREATE TABLE a AS SELECT 1",
    "a view": "CREATE OR REPLACE VIEW trademarks AS SELECT 1",
    "a deletion": "DELETE FROM trademarks",
    "two statements": "SELECT 1; SELECT 2",
    "nothing": "",
    "no SQL": "ផ្លែឈើ",
}


@pytest.fixture(scope="module")
def home(shared_desk: Any, ipas: Any) -> Path:
    shared_desk.deliver(ipas.marks(ipas.mark("KH/90001/2019"), ipas.mark("KH/90002/2019")))
    root: Path = shared_desk.hub.home.root
    (root / "canary").write_text("CANARY")
    ask(root, "SELECT 1")  # rights that nobody has delivered get their empty tables
    return root


def ask(home: Path, sql: str, *options: str) -> Any:
    return CliRunner().invoke(app, ["query", sql, "--home", str(home), *options])


def test_an_operator_reads_what_is_published(home: Path) -> None:
    sql = "SELECT applicationNumber FROM trademarks ORDER BY ALL"
    said = ask(home, sql, "--format", "json", "--limit", "1")
    assert json.loads(said.stdout) == {
        "columns": ["applicationNumber"],
        "items": [{"applicationNumber": "KH/90001/2019"}],
        "more": True,
    }
    assert "KH/90002/2019" in ask(home, sql).stdout
    assert "0" in ask(home, "SELECT count(*) FROM patents").stdout


def test_what_an_applicant_wrote_rules_no_terminal(home: Path) -> None:
    sql = "SELECT concat(chr(27), '[2J', chr(155), '1m', chr(8238), 'TO', chr(7)) AS name"
    assert (
        "\u27e6U+001B\u27e7[2J\u27e6U+009B\u27e71m\u27e6U+202E\u27e7TO\u27e6U+0007\u27e7"
        in ask(home, sql).stdout
    )
    whole = json.loads(ask(home, sql, "--format", "json").stdout)
    assert whole["items"] == [{"name": "\x1b[2J\x9b1m\u202eTO\x07"}]


def test_offices_of_which_one_is_folded_are_read_together(desk: Any, ipas: Any) -> None:
    for office, number in (("KH", "KH/90001/2019"), ("LA", "90001")):
        desk.deliver(ipas.marks(ipas.mark(number, office=office)), office=office)
    for folded in ("KH", "LA"):
        desk.hub.register.fold(Right.TRADEMARKS, folded)
        sql = "SELECT office, applicationNumber FROM trademarks ORDER BY ALL"
        said = ask(desk.hub.home.root, sql, "--format", "json")
        assert [tuple(row.values()) for row in json.loads(said.stdout)["items"]] == [
            ("KH", "KH/90001/2019"),
            ("LA", "90001"),
        ]


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_else_is_read_and_nothing_is_changed(home: Path, what: str) -> None:
    def files() -> list[Path]:
        return sorted((home / "register").rglob("*"))

    before = files()
    refused = ask(home, REFUSED[what].format(home=home, canary=home / "canary"))
    assert isinstance(refused.exception, InvalidRequest), refused.output
    assert "CANARY" not in refused.output + str(refused.exception)
    assert files() == before
