"""Authorizations in the ledger: the present version and every one before it.

A version is never changed: a new decision is a new version, with its state before and after
in the audit chain. What an authorization means is ``ipregister.authorizations``.
"""

import builtins
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, insert, select, update

from connectors.ledger import audit
from connectors.ledger.columns import Json
from connectors.ledger.engine import Database
from connectors.ledger.schema import authorization_versions, authorizations
from connectors.ledger.third_parties import third_party_name
from ipregister.authorizations import Authorization, check_office, check_withheld
from ipregister.errors import InvalidRequest, LedgerConflict
from ipregister.model import Disclosure, Right


class Authorizations:
    """Setting, revoking and reading authorizations."""

    def __init__(self, database: Database) -> None:
        """Keep authorizations in ``database``."""
        self._database = database

    def set(
        self,
        office: str,
        third_party: str,
        rights: Mapping[Right, Iterable[Disclosure]],
        valid_until: date | None,
        at: datetime,
        by: str,
        expected_version: int | None = None,
    ) -> Authorization:
        """Share ``rights`` of an office with a third party, each without its withheld classes.

        The same decision again is no new version.

        Args:
            office: ST.3 code of an originating office.
            third_party: name of a third party that was added before.
            rights: classes withheld per shared right; a right left out is not shared.
            valid_until: last day (UTC), or for good.
            at: instant of the decision.
            by: who decides.
            expected_version: the version the caller saw, 0 for none.

        Raises:
            InvalidRequest: unknown office, third party, right or class, or a day in the past.
            LedgerConflict: someone else decided since ``expected_version``.
        """
        allowed = check_withheld(rights)
        if valid_until is not None and valid_until < at.astimezone(UTC).date():
            raise InvalidRequest(f"{valid_until} is past: name a later day, or revoke")
        return self._decide(office, third_party, allowed, valid_until, at, by, expected_version)

    def revoke(
        self,
        office: str,
        third_party: str,
        at: datetime,
        by: str,
        expected_version: int | None = None,
    ) -> Authorization:
        """Share nothing any more, from the next request on.

        Raises:
            InvalidRequest: unknown office or third party, or there is nothing to revoke.
            LedgerConflict: someone else decided since ``expected_version``.
        """
        return self._decide(office, third_party, {}, None, at, by, expected_version)

    def show(self, office: str, third_party: str) -> Authorization | None:
        """Return the present version, revoked or not, or ``None`` if there never was one."""
        with self._database.read() as connection:
            name = third_party_name(connection, third_party)
            return _present(connection, check_office(office), name)

    def history(self, office: str, third_party: str) -> builtins.list[Authorization]:
        """Return every version, oldest first."""
        with self._database.read() as connection:
            name = third_party_name(connection, third_party)
            return _find(connection, authorization_versions, check_office(office), name)

    def list(
        self, office: str | None = None, third_party: str | None = None
    ) -> builtins.list[Authorization]:
        """Return the present versions by office and third party, revoked ones too."""
        with self._database.read() as connection:
            name = third_party_name(connection, third_party) if third_party is not None else None
            return _find(connection, authorizations, office and check_office(office), name)

    def _decide(
        self,
        office: str,
        third_party: str,
        allowed: Mapping[Right, frozenset[Disclosure]],
        valid_until: date | None,
        at: datetime,
        by: str,
        expected_version: int | None,
    ) -> Authorization:
        check_office(office)
        with self._database.write() as connection:
            name = third_party_name(connection, third_party)
            before = _present(connection, office, name, lock=True)
            version = before.version if before else 0
            if expected_version is not None and expected_version != version:
                raise LedgerConflict(
                    f"the authorization of {name} by {office} is at version {version}, "
                    f"not {expected_version}: look at it again"
                )
            if not allowed and (before is None or before.is_revoked):
                raise InvalidRequest(f"{office} shares nothing with {name}: nothing to revoke")
            if before and (before.allowed, before.validUntil) == (allowed, valid_until):
                return before
            after = Authorization(office, name, version + 1, allowed, valid_until, at, by)
            _write(connection, after)
            audit.append(
                connection,
                at=at,
                by=by,
                action="authorization:set" if allowed else "authorization:revoked",
                subject=f"{office}:{name}",
                before=_decision(before) if before else None,
                after=_decision(after),
            )
        return after


def _decision(authorization: Authorization) -> Json:
    document = authorization.document()
    return {name: document[name] for name in ("version", "rights", "validUntil")}


def _write(connection: Connection, new: Authorization) -> None:
    row: dict[str, Any] = {
        "third_party": new.thirdParty,
        "office": new.office,
        "version": new.version,
        "allowed": {right: sorted(classes) for right, classes in new.allowed.items()},
        "valid_until": new.validUntil,
        "set_at": new.setAt,
        "set_by": new.setBy,
    }
    connection.execute(insert(authorization_versions), row)
    if new.version == 1:
        connection.execute(insert(authorizations), row)
    else:
        c = authorizations.c
        mine = update(authorizations).where(c.third_party == new.thirdParty, c.office == new.office)
        connection.execute(mine.values(row))


def _present(
    connection: Connection, office: str, third_party: str, *, lock: bool = False
) -> Authorization | None:
    c = authorizations.c
    query = select(authorizations).where(c.office == office, c.third_party == third_party)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _authorization(row)


def _find(
    connection: Connection, table: Table, office: str | None, third_party: str | None
) -> list[Authorization]:
    query = select(table).order_by(table.c.office, table.c.third_party, table.c.version)
    if office is not None:
        query = query.where(table.c.office == office)
    if third_party is not None:
        query = query.where(table.c.third_party == third_party)
    return [_authorization(row) for row in connection.execute(query)]


def _authorization(row: Row[Any]) -> Authorization:
    return Authorization(
        office=row.office,
        thirdParty=row.third_party,
        version=row.version,
        allowed=open_classes(row.allowed),
        validUntil=row.valid_until,
        setAt=row.set_at,
        setBy=row.set_by,
    )


def open_classes(document: Json) -> dict[Right, frozenset[Disclosure]]:
    """Read the stored form; a right or class this program does not know stays closed."""
    stored = cast("Mapping[str, list[str]]", document)
    return {
        Right(right): frozenset(Disclosure(name) for name in names if name in tuple(Disclosure))
        for right, names in stored.items()
        if right in tuple(Right)
    }
