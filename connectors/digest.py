"""One digest over everything a hub knows: two hubs with the same digest are the same hub.

Left out is what tells how a state was reached and not what it is: numbers that may have gaps,
leases, seconds a step took, tokens that expire. ``history`` tells it, and is a part of its own:
a hub that was killed and went on has the same parts but that one.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow.parquet as pq
from sqlalchemy import Table, select

from connectors.changes import BATCH_ROWS
from connectors.hub import Hub
from connectors.ledger.engine import Database
from connectors.ledger.schema import APPEND_ONLY, METADATA
from connectors.register.ordering import ranked
from connectors.schema import log_schema
from connectors.serving_store import START, Filters
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right

PASSING = frozenset({"tokens", "assertions", "counters", "audit_head"})
"""Tables of the ledger that are no knowledge: they expire, or may have gaps."""

HISTORY = frozenset(APPEND_ONLY) - {"authorization_versions"}

PASSING_COLUMNS = frozenset({"durations", "leased_by", "leased_until"})

NUMBER = "changeSeq"
"""Column of the register that may have gaps; what it orders is compared in that order."""

PAGE = 1_000

_EVERYTHING = Grant(frozenset(Disclosure))
_json = msgspec.json.Encoder(order="sorted", enc_hook=str).encode


@dataclass(frozen=True, slots=True)
class Digest:
    """SHA-256 (hex) by part, and of all parts together."""

    parts: dict[str, str]

    @property
    def whole(self) -> str:
        """Return the digest of all parts."""
        return _hash(f"{name} {digest}".encode() for name, digest in sorted(self.parts.items()))

    @property
    def state(self) -> str:
        """Return the digest of what the hub knows, however it got there."""
        return Digest({k: v for k, v in self.parts.items() if k != "history"}).whole


def digest_of(hub: Hub) -> Digest:
    """Return the digest of a hub at which nobody works meanwhile."""
    database = Database(hub.ledger_url)
    tables = [t for t in METADATA.sorted_tables if t.name not in PASSING]
    try:
        parts: dict[str, Callable[[], Iterable[bytes]]] = {
            "register": lambda: _register(hub),
            "feed": lambda: _feed(hub),
            "serving": lambda: _serving(hub),
            "findings": lambda: _findings(hub),
            "landing": lambda: _landing(hub),
            "ledger": lambda: _rows(database, [t for t in tables if t.name not in HISTORY]),
            "history": lambda: _rows(database, [t for t in tables if t.name in HISTORY]),
        }
        return Digest({name: _hash(lines()) for name, lines in parts.items()})
    finally:
        database.close()


def _hash(lines: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(len(line).to_bytes(8, "big") + line)
    return digest.hexdigest()


def _register(hub: Hub) -> Iterable[bytes]:
    """Yield, record by record, the latest version and the latest that readers see."""
    for right in Right:
        columns = ", ".join(f'"{f.name}"' for f in log_schema(right) if f.name != NUMBER)
        for office in hub.register.offices(right):
            with hub.register.connect() as con:
                hub.register.define_history(con, right, office, "history")
                query = con.sql(
                    f"""
                    SELECT recordId, md5(to_json(struct_pack({columns}))::VARCHAR) AS digest
                    FROM ({ranked("history")})
                    WINDOW versions AS (PARTITION BY recordId ORDER BY rank DESC),
                           visible AS (PARTITION BY recordId, held ORDER BY rank DESC)
                    QUALIFY row_number() OVER versions = 1
                         OR (NOT held AND row_number() OVER visible = 1)
                    ORDER BY recordId, rank
                    """
                )
                for batch in query.to_arrow_reader(BATCH_ROWS):
                    for record, digest in zip(*(c.to_pylist() for c in batch.columns), strict=True):
                        yield f"{office} {right} {record} {digest}".encode()


def _feed(hub: Hub) -> Iterable[bytes]:
    """Yield what a reader with every right gets that starts from nothing."""
    grants = dict.fromkeys(hub.serving.totals(), _EVERYTHING)
    page = hub.serving.changes(grants, None, PAGE)
    yield from page.items
    while page.more:
        page = hub.serving.changes(grants, page.marks, PAGE)
        yield from page.items


def _serving(hub: Hub) -> Iterable[bytes]:
    for (office, right), count in sorted(hub.serving.totals().items()):
        yield f"{office} {right} {count}".encode()
        place: tuple[str, str] | None = START
        while place is not None:
            page = hub.serving.page(office, right, _EVERYTHING, Filters(), after=place, limit=PAGE)
            yield from page.bodies
            place = page.last


def _findings(hub: Hub) -> Iterable[bytes]:
    for path in sorted(hub.home.root.glob("findings/*.parquet")):
        yield path.name.encode()
        yield from sorted(_json(row) for row in pq.read_table(path).to_pylist())


def _landing(hub: Hub) -> Iterable[bytes]:
    """Yield the files that deliveries consist of; others may have come since."""
    files = {file.sha256 for each in hub.ledger.deliveries.list() for file in each.files}
    for sha256 in sorted(files):
        path = hub.landing.path(sha256)
        yield f"{sha256} {path.stat().st_size if path.exists() else 'missing'}".encode()


def _rows(database: Database, tables: list[Table]) -> Iterable[bytes]:
    with database.read() as connection:
        for table in tables:
            columns = [c for c in table.columns if c.name not in PASSING_COLUMNS]
            query = select(*columns).order_by(*table.primary_key.columns)
            for row in connection.execute(query).mappings():
                yield table.name.encode() + _json(_plain(dict(row)))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
