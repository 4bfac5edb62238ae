"""How long a PostgreSQL server of which nothing is heard keeps those that ask it."""

import socket
from collections.abc import Iterator

import pytest

from connectors.ledger import Ledger
from connectors.ledger.engine import SILENT_SERVER
from ipregister.errors import StoreError


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that lets itself be connected and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_server_that_says_nothing_is_given_up(
    silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SILENT_SERVER, "connect_timeout", "2")
    with pytest.raises(StoreError, match="the ledger's database failed: ConnectionTimeout"):
        Ledger.open(f"postgresql+psycopg://hub@127.0.0.1:{silent}/hub")


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_every_connection_gives_up_a_server_that_is_gone(ledger: Ledger, url: str) -> None:
    database = ledger._database
    with database.read() as connection:
        ours = [connection.connection.driver_connection, database.reading._connect()]
    for each in ours:
        assert each is not None
        assert each.info.get_parameters().items() >= SILENT_SERVER.items()
        each.close()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_the_url_may_say_otherwise(ledger: Ledger, url: str) -> None:
    patient = Ledger.open(f"{url}{'&' if '?' in url else '?'}connect_timeout=99")
    with patient._database.read() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver.info.get_parameters()["connect_timeout"] == "99"
    patient.close()
