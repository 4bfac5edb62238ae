"""What an operator may set of a client: how it must prove itself, and quotas of its own."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, update

from connectors.ledger.client_records import Client
from connectors.ledger.schema import clients
from ipregister.errors import InvalidRequest

HUBS_QUOTA = 0
"""In place of a quota: the hub's, again."""

MAX_QUOTA = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientChanges:
    """What is to change; nothing for what stays as it is."""

    dasCompat: bool | None = None
    strictAudience: bool | None = None
    dpopRequired: bool | None = None
    requestsPerMinute: int | None = None
    rowsPerMinute: int | None = None


_COLUMNS = {
    "dasCompat": "das_compat",
    "strictAudience": "strict_audience",
    "dpopRequired": "dpop_required",
    "requestsPerMinute": "requests_per_minute",
    "rowsPerMinute": "rows_per_minute",
}


def apply(
    connection: Connection, client: Client, changes: ClientChanges
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the changes; return what was before and after, of what is another now.

    Raises:
        InvalidRequest: the settings exclude each other, or a quota is none.
    """
    asked = {name: value for name, value in asdict(changes).items() if value is not None}
    for name in ("requestsPerMinute", "rowsPerMinute"):
        if not 0 <= asked.get(name, 0) <= MAX_QUOTA:
            raise InvalidRequest(f"a quota is a number from 1 to {MAX_QUOTA:,}")
        if asked.get(name) == HUBS_QUOTA:
            asked[name] = None
    das = asked.get("dasCompat", client.dasCompat)
    if das and asked.get("strictAudience", client.strictAudience):
        raise InvalidRequest(
            "DAS aims its assertions at the token endpoint, which a strict audience excludes: "
            "choose one of the two"
        )
    before = {name: getattr(client, name) for name in asked}
    after = {name: value for name, value in asked.items() if value != before[name]}
    if after:
        mine = update(clients).where(clients.c.client_id == client.clientId)
        connection.execute(mine.values({_COLUMNS[name]: value for name, value in after.items()}))
    return {name: before[name] for name in after}, after
