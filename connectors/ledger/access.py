"""The question of every request: whose token is this, and what may it see now?

One prepared statement on a connection of its own, outside any transaction, so an answer
always has what other processes committed before. On SQLite what it found is remembered until
anybody writes the ledger, whatever it is; ``commits`` says so without a lock or a query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address, ip_network
from json import loads
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, select

from connectors.ledger.authorization_rows import open_grants
from connectors.ledger.columns import from_microseconds, microseconds
from connectors.ledger.commits import Commits
from connectors.ledger.prepared import Lane, Prepared
from connectors.ledger.schema import authorizations, clients, tokens
from connectors.ledger.tokens import EXPIRY_AHEAD
from ipregister.authorizations import Grant
from ipregister.model import Right
from ipregister.profiles import load_profile
from ipregister.roles import MAY, Act, Role


@dataclass(frozen=True, slots=True)
class Access:
    """What a token opens at this moment.

    ``grants`` has what may be seen per office and right, ``versions`` the version of the
    authorization per office; both only from authorizations in force for the caller's address.
    ``elsewhere`` is what may be seen from another address only: it is not to be had, but nobody
    took it back. ``scope`` narrows what the token may be used for, ``keyThumbprint`` is the key
    its sender must prove to hold, and the quotas are the client's own, if it has any. Equal rows
    give the same object, so it may serve as a cache key by identity.
    """

    clientId: str
    thirdParty: str | None
    office: str | None
    role: Role
    grants: Mapping[tuple[str, Right], Grant]
    versions: Mapping[str, int]
    elsewhere: frozenset[tuple[str, Right]]
    scope: str | None = None
    keyThumbprint: str | None = None
    requestsPerMinute: int | None = None
    rowsPerMinute: int | None = None

    def may(self, word: str) -> bool:
        """Tell whether the token was asked for this scope; without scope it is for all."""
        return self.scope is None or word in self.scope.split()

    def may_do(self, act: Act) -> bool:
        """Tell whether the client's role may do this and the token was asked for it."""
        return act in MAY[self.role] and self.may(act)


MOST_REMEMBERED = 4_096
"""Tokens of a worker, from one address each."""

MOST_SECONDS = 0.1
"""How long something is remembered: for what writes a ledger and is no part of the hub."""


_NOT_AT_ALL = timedelta(0)


class _Known(NamedTuple):
    """What a token opens while the ledger's commits, the instant and the clock are within."""

    commits: int
    since: datetime
    until: datetime
    forgotten: float
    access: Access


class AccessReader:
    """Looks up tokens; safe to share between threads."""

    def __init__(self, lane: Lane, commits: Commits | None) -> None:
        """Compile the statement; nothing is opened yet."""
        self._lane = lane
        self._commits = commits
        self._known: dict[tuple[bytes, str | None], _Known] = {}
        t, c, a = tokens.c, clients.c, authorizations.c
        statement = (
            select(
                t.expires_at,
                *(c.client_id, c.third_party, c.office, c.role, t.scope),
                *(t.key_thumbprint, c.requests_per_minute, c.rows_per_minute),
                *(a.office, a.version, a.allowed, a.views),
                *(a.valid_from, a.valid_until, a.addresses),
            )
            .select_from(tokens)
            .join(clients, and_(c.client_id == t.client_id, c.revoked_at.is_(None)))
            .join(authorizations, a.third_party == c.third_party, isouter=True)
            .where(t.token_hash == bindparam("hash"), t.expires_at > bindparam("now"))
            .where(t.expires_at <= bindparam("latest"))
            .order_by(a.office)
        )
        self._statement = Prepared(statement, lane.dialect)

    def access(
        self, token_hash: bytes, at: datetime, address: str | None, late: timedelta = _NOT_AT_ALL
    ) -> Access | None:
        """Return what a token opens for a caller there, or ``None`` for one that opens nothing.

        ``late`` is how long it may have expired.
        """
        if self._commits is None:
            found = self._look_up(token_hash, at, address, late)
            return found and found[1]
        known = self._known.get((token_hash, address))
        if (
            known is not None
            and known.commits == self._commits.begun
            and known.since <= at < known.until
            and monotonic() < known.forgotten
        ):
            return known.access
        commits, now = self._commits.settled, monotonic()  # before looking, not after it
        found = self._look_up(token_hash, at, address, late)
        if found is None:
            return None
        if commits is not None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[token_hash, address] = _Known(
                commits, at, found[0], now + MOST_SECONDS, found[1]
            )
        return found[1]

    def _look_up(
        self, token_hash: bytes, at: datetime, address: str | None, late: timedelta
    ) -> tuple[datetime, Access] | None:
        """Return what a token opens, and until when: it expires, or an office's day ends."""
        limits = {"now": microseconds(at - late), "latest": microseconds(at + EXPIRY_AHEAD)}
        rows = self._lane.rows(self._statement, {"hash": token_hash, **limits})
        if not rows:
            return None
        # Where the caller is only matters, and is only remembered, where an office asks.
        if all(row[-1] in (None, "[]") for row in rows):
            address = None
        same = tuple(row[1:] for row in rows)
        until, closed = from_microseconds(rows[0][0]), set[str]()
        for *_, office, _, _, _, first, last, _ in rows:
            if first is not None or last is not None:
                profile = load_profile(office)
                day = profile.day_of(at)
                until = min(until, profile.start_of(day + timedelta(days=1)))
                if not _holds(day, first, last):
                    closed.add(office)
        return until, _access(same, frozenset(closed), address)


@lru_cache(maxsize=4096)
def _access(
    rows: tuple[tuple[Any, ...], ...], closed: frozenset[str], address: str | None
) -> Access:
    """Translate rows; of the offices in ``closed`` it is not the day."""
    client_id, third_party, own_office, role, scope, *of_token = rows[0][:8]
    narrowed = None if scope is None else scope.split()
    grants: dict[tuple[str, Right], Grant] = {}
    versions: dict[str, int] = {}
    elsewhere: set[tuple[str, Right]] = set()
    for *_, office, version, allowed, views, _, _, addresses in rows:
        if office is None or office in closed:
            continue
        opened = open_grants(loads(allowed), loads(views or "{}"))
        here = {
            (office, right): grant
            for right, grant in opened.items()
            if narrowed is None or f"data:read:{right}" in narrowed
        }
        if not _is_within(address, loads(addresses or "[]")):
            elsewhere |= here.keys()
            continue
        grants |= here
        if opened:
            versions[office] = version
    return Access(
        *(client_id, third_party, own_office, Role(role)),
        MappingProxyType(grants),
        MappingProxyType(versions),
        frozenset(elsewhere),
        scope,
        *of_token,
    )


def _holds(day: date, first: date | str | None, last: date | str | None) -> bool:
    return (first is None or day >= _date(first)) and (last is None or day <= _date(last))


def _is_within(address: str | None, networks: list[str]) -> bool:
    """Tell whether a caller, in its one spelling, is where an office wants it; unknown is not."""
    if not networks:
        return True
    if address is None:
        return False
    try:
        where = ip_address(address)
    except ValueError:
        return False
    return any(where in ip_network(network) for network in networks)


def _date(value: date | str) -> date:
    """Read a date as the drivers give it: SQLite has no type for it."""
    return date.fromisoformat(value) if isinstance(value, str) else value
