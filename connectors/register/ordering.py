"""The office's order as a number, so that any row can be asked for the newest before it.

What is newest is said by the office (``officeOrder``), never by arrival; ``changeSeq`` only
tells apart several rows of one delivery about one record. Which rows exist is ``store``.
"""

CHANGES_BITS = 42
"""Bits of a rank that count changes: four million million of them, and two million deliveries."""


def ranked(rows: str) -> str:
    """Return the SQL that adds ``rank`` to rows with ``officeOrder`` and ``changeSeq``.

    A rank grows with the office's order, then with the change number. Comparing numbers is as
    fast as comparing arrivals was; comparing the texts took three times as long.
    """
    return f"""
        SELECT r.*, o.place + r.changeSeq AS rank
        FROM {rows} r JOIN (
            SELECT officeOrder, row_number() OVER (ORDER BY officeOrder) << {CHANGES_BITS} AS place
            FROM (SELECT DISTINCT officeOrder FROM {rows})
        ) o USING (officeOrder)
    """


def ever_there(rows: str) -> str:
    """Return the SQL that keeps the rows of records of which one says that they are there.

    Where only a reverted delivery had brought a record, a newer one's row that it vanished is
    left: it must not make a record that never was one that comes back.
    """
    return f"""
        (SELECT * FROM {rows}
         SEMI JOIN (SELECT recordId FROM {rows} WHERE op <> 'vanish') USING (recordId))
    """
