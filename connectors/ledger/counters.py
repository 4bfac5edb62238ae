"""Running numbers: strictly growing, shared by all processes, safe across a crash."""

from typing import cast

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from connectors.ledger.schema import counters


def next_numbers(connection: Connection, name: str, count: int) -> int:
    """Return the first of ``count`` consecutive numbers of the series ``name``, from 1.

    Others that want a number of the same series wait until this transaction ends.
    """
    if connection.dialect.name == "postgresql":
        insert = postgresql.insert(counters).values(name=name, value=count)
        statement = insert.on_conflict_do_update(
            index_elements=["name"], set_={"value": counters.c.value + count}
        ).returning(counters.c.value)
    else:
        other = sqlite.insert(counters).values(name=name, value=count)
        statement = other.on_conflict_do_update(
            index_elements=["name"], set_={"value": counters.c.value + count}
        ).returning(counters.c.value)
    last = cast(int, connection.scalar(statement))
    return last - count + 1
