"""Numbers that come back under another spelling: ``2019/123`` as ``2019-000123``.

Two numbers are taken for one when they hold the same digits and letters once separators,
leading zeros, the century of a year, the office's own code and the order of the parts are
left aside, and no third number does. What that means for a delivery is ``ipregister.guards``.
"""

import duckdb

from connectors.register.engine import literal, number
from connectors.register.ordering import ranked
from ipregister.deliveries import Kind
from ipregister.holds import IdChurn, Respelling

EXAMPLES = 5

_NUMBER = "upper(regexp_replace(recordKey, '^[^/]*/[^/]*/', ''))"
_DIGITS = f"regexp_extract_all({_NUMBER}, '[0-9]+')"
# 2019000123 is the year and the number; 2019 is 19; 000123 is 123.
_SPLIT = (
    r"regexp_replace(t, '^((?:19|20)[0-9]{2})([0-9]{4,})$', '\1 \2')",
    "string_split(array_to_string(list_transform({digits}, lambda t: {split}), ' '), ' ')",
    r"ltrim(regexp_replace(t, '^(?:19|20)([0-9]{2})$', '\1'), '0')",
)


def find(con: duckdb.DuckDBPyConnection, office: str, kind: Kind) -> IdChurn | None:
    """Return the respelt numbers among what a plan adds, or ``None``.

    In a full extraction they are looked for among the vanishing records, in an update among
    those the register has of the same days of filing.

    Args:
        con: has ``plan``, ``staged`` and ``history`` (``guard_measures``).
        office: ST.3 code, which some spellings have and others leave out.
        kind: of the delivery.
    """
    full = kind is Kind.FULL_EXTRACTION
    lost = "SELECT recordKey FROM plan WHERE op = 'vanish' AND shown" if full else _OWNED
    if not full:
        _define_alike(con)
    added = "SELECT recordKey FROM plan WHERE op = 'insert' AND shown"
    con.execute(f"CREATE TEMP TABLE respelt_before AS {_keyed(lost, office)}")
    if not number(con, "SELECT count(*) FROM respelt_before"):
        return None  # nothing to compare with, as in every first load
    con.execute(f"CREATE TEMP TABLE respelt_after AS {_keyed(added, office)}")
    con.execute(
        """
        CREATE TEMP TABLE respelt AS
        SELECT b.number AS before, a.number AS after
        FROM respelt_before b JOIN respelt_after a USING (key)
        WHERE b.number <> a.number
        """
    )
    of = f"SELECT count(*) FROM ({lost if full else added})"
    records, of_all = con.execute(f"SELECT (SELECT count(*) FROM respelt), ({of})").fetchall()[0]
    if not records:
        return None
    examples = con.execute(f"SELECT * FROM respelt ORDER BY before LIMIT {EXAMPLES}").fetchall()
    return IdChurn(records, of_all, tuple(Respelling(*pair) for pair in examples))


_OWNED = f"""
    SELECT recordKey FROM ({ranked("history")}) SEMI JOIN alike USING (recordId)
    GROUP BY recordId, recordKey HAVING arg_max(op, rank) <> 'vanish'
"""


def _define_alike(con: duckdb.DuckDBPyConnection) -> None:
    """Make ``alike``: the register's records filed on a day on which new ones say they were.

    A record keeps its date of filing when its number is respelt, and comparing a million
    numbers part by part takes ten seconds.
    """
    con.execute(
        """
        CREATE TEMP TABLE alike AS
        SELECT DISTINCT recordId
        FROM (SELECT recordId, applicationDate FROM history) SEMI JOIN (
            SELECT s.applicationDate
            FROM plan p JOIN staged s USING (part, sequence)
            WHERE p.op = 'insert' AND p.shown
        ) USING (applicationDate)
        """
    )


def _keyed(numbers: str, office: str) -> str:
    """Return the query of numbers with their keys, where no other number has the same."""
    split, parts, plain = _SPLIT
    digits = parts.format(digits=_DIGITS, split=split)
    letters = (
        f"list_filter(regexp_extract_all({_NUMBER}, '[A-Z]+'), lambda t: t <> {literal(office)})"
    )
    tokens = f"list_concat(list_transform({digits}, lambda t: {plain}), {letters})"
    return f"""
        SELECT key, any_value(number) AS number
        FROM (
            SELECT array_to_string(list_sort({tokens}), ' ') AS key, {_NUMBER} AS number
            FROM ({numbers})
        )
        WHERE key <> ''
        GROUP BY key
        HAVING count(*) = 1
    """
