"""What older ledgers hold survives every migration, on both databases."""

from importlib.resources import as_file, files
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event, text

from connectors.ledger import Ledger
from ipregister.roles import Role

CLIENT = """INSERT INTO clients
(client_id, name, third_party, office, das_compat, added_at, added_by)
VALUES (:client_id, 'a', :third_party, :office, :no, '2026-03-04 05:06:07', 'Sok')"""


def make(url: str, revision: str, *rows: dict[str, Any]) -> None:
    """Make a ledger as an older program left it."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda db, _: db.execute("PRAGMA foreign_keys = ON"))
    with engine.begin() as connection:
        upgrade(connection, revision)
        connection.execute(
            text("INSERT INTO third_parties VALUES ('Ann', 'ann', '2026-03-04 05:06:07', 'Sok')")
        )
        for row in rows:
            connection.execute(text(CLIENT), row | {"no": False})
            connection.execute(
                text("INSERT INTO client_keys VALUES (:c, 'k', '{\"alg\": \"ES256\"}', :at, NULL)"),
                {"c": row["client_id"], "at": "2026-03-04 05:06:07"},
            )
    engine.dispose()


def upgrade(connection: Connection, revision: str) -> None:
    with as_file(files("connectors.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_clients_get_the_role_they_had_before_there_were_roles(url: str) -> None:
    make(
        url,
        "0001",
        {"client_id": "tp-1", "third_party": "Ann", "office": None},
        {"client_id": "office-kh-1", "third_party": None, "office": "KH"},
    )
    ledger = Ledger.open(url)
    roles = {client.clientId: client.role for client in ledger.clients.list()}
    assert roles == {"tp-1": Role.THIRD_PARTY, "office-kh-1": Role.OFFICE_DATA_MANAGER}
    assert all(len(client.keys) == 1 for client in ledger.clients.list())
    ledger.close()
