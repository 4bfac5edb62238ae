"""Points in time: an instant, or the moment a delivery was published; and what was known then."""

from dataclasses import dataclass
from datetime import UTC, datetime, time

import duckdb

from connectors.hub import Hub
from connectors.register.reversal import revert_name
from ipregister.dates import refuse_other_era
from ipregister.errors import InvalidRequest
from ipregister.identifiers import normalised_number, record_id, record_key
from ipregister.model import Right

RECORD_ID_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Point:
    """What was known at an instant (UTC): names of deliveries that counted, and of reverts."""

    at: datetime
    known: frozenset[str]


def point_of(hub: Hub, office: str, right: Right, said: str) -> Point:
    """Return the point that a text names.

    Args:
        hub: the stores.
        office: whose register.
        right: of which right.
        said: a delivery's identifier (the moment it was published, itself included), a date
            (its end) or an instant as in RFC 3339; without an offset it is UTC.

    Raises:
        InvalidRequest: it is none of these, its year is not of the Gregorian calendar, or that
            delivery was not published.
    """
    published = hub.ledger.publications.instants(office, right)
    at = published.get(said) or _instant(said)
    if at is None:
        raise InvalidRequest(
            f"{said!r} is no published delivery of {office} {right}, no date and no instant; "
            "write one such as 2026-11-22T05:30:00Z"
        )
    known = {name for name, when in published.items() if when <= at}
    for delivery in hub.ledger.deliveries.list(office=office, right=right):
        if delivery.revertedAt is not None and delivery.revertedAt <= at:
            known.discard(delivery.deliveryId)
            known.add(revert_name(delivery.deliveryId))
    return Point(at, frozenset(known))


def _instant(said: str) -> datetime | None:
    try:
        is_day = len(said) == len("2026-11-22")
        at = datetime.fromisoformat(said)
        if is_day:
            at = datetime.combine(at.date(), time.max, UTC)
    except ValueError:
        return None
    refuse_other_era(at.date())
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:  # the end of the last year, said in an offset behind UTC
        return None


def define_known(
    con: duckdb.DuckDBPyConnection, hub: Hub, office: str, right: Right, point: Point, name: str
) -> None:
    """Define the view ``name``: rows of the log that were known and counted at a point."""
    hub.register.define_log(con, right, office, "every_row", but_reverted=())
    con.execute(f"CREATE TEMP TABLE {name}_names AS SELECT unnest(?::VARCHAR[]) AS name",
                [sorted(point.known)])  # fmt: skip
    names = f"(SELECT name FROM {name}_names)"
    con.execute(
        f"""
        CREATE TEMP VIEW {name} AS
        SELECT * FROM every_row
        WHERE deliveryId IN {names} AND (amendedBy IS NULL OR amendedBy IN {names})
          AND (cause <> 'processing' OR recordedAt <= TIMESTAMPTZ '{point.at.isoformat()}')
        """
    )


def identifier_of(office: str, right: Right, number: str) -> str:
    """Return the identifier of a record by its application number, or by itself."""
    plain = number.strip()
    if len(plain) == RECORD_ID_LENGTH and plain.islower() and plain.isalnum():
        return plain
    if not normalised_number(plain):
        raise InvalidRequest("Give an application number or a recordId.")
    return record_id(record_key(office, right, plain))
