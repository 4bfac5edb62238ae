"""Read-only SQL over what the register publishes.

The views ``patents``, ``trademarks`` and ``designs`` hold what every record is now. The
connection can read the register's files and nothing else, and can write nothing.
"""

from dataclasses import dataclass
from typing import Any

import duckdb

from connectors.register.store import RegisterStore
from ipregister.errors import InvalidRequest
from ipregister.model import Right


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows by column name, and whether there were more."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    more: bool


def query_register(store: RegisterStore, sql: str, *, limit: int) -> Answer:
    """Return the answer to one SELECT.

    Raises:
        InvalidRequest: it is not one SELECT, or DuckDB refuses it; the message says why.
    """
    with store.connect(alone=True) as con:
        for right in Right:
            store.define_visible(con, right, str(right))
        con.execute("SET allowed_directories = ?", [[str(store.root.resolve())]])
        con.execute("SET enable_external_access = FALSE")
        con.execute("SET lock_configuration = TRUE")
        try:
            statements = con.extract_statements(sql)
            if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
                raise InvalidRequest("Ask one SELECT; nothing can be changed here.")
            cursor = con.execute(statements[0])
            columns = tuple(str(column[0]) for column in cursor.description or ())
            found = cursor.fetchmany(limit + 1)
        except duckdb.Error as exc:
            raise InvalidRequest(f"DuckDB does not understand this: {exc}") from exc
    rows = [dict(zip(columns, row, strict=True)) for row in found[:limit]]
    return Answer(columns, rows, len(found) > limit)
