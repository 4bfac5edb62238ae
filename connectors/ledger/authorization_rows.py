"""How authorizations are written to the ledger's tables and read from them."""

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, insert, select, update

from connectors.ledger.columns import Json
from connectors.ledger.schema import authorization_versions, authorizations
from ipregister.authorizations import Authorization, Decision, Grant, TermsOfUse
from ipregister.model import Disclosure, Right
from ipregister.row_rules import read_row_rule


def write(connection: Connection, new: Authorization) -> None:
    """Add a version and make it the present one."""
    decision = new.decision
    row: dict[str, Any] = {
        "third_party": new.thirdParty,
        "office": new.office,
        "version": new.version,
        "allowed": {right: sorted(grant.allowed) for right, grant in decision.grants.items()},
        "views": {
            right: {
                "rows": grant.rule.document() if grant.rule else {},
                "freeText": grant.freeText,
                "since": grant.since,
            }
            for right, grant in decision.grants.items()
        },
        "valid_from": decision.validFrom,
        "valid_until": decision.validUntil,
        "terms_of_use": decision.termsOfUse,
        "purpose": decision.purpose,
        "addresses": list(decision.allowedAddresses),
        "reason": decision.reason,
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


def present(
    connection: Connection, office: str, third_party: str, *, lock: bool = False
) -> Authorization | None:
    """Return the present version, kept from others until the transaction ends with ``lock``."""
    c = authorizations.c
    query = select(authorizations).where(c.office == office, c.third_party == third_party)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _authorization(row)


def find(
    connection: Connection, table: Table, office: str | None, third_party: str | None
) -> list[Authorization]:
    """Return what is in one of the two tables, by office, third party and version."""
    query = select(table).order_by(table.c.office, table.c.third_party, table.c.version)
    if office is not None:
        query = query.where(table.c.office == office)
    if third_party is not None:
        query = query.where(table.c.third_party == third_party)
    return [_authorization(row) for row in connection.execute(query)]


def _authorization(row: Row[Any]) -> Authorization:
    decision = Decision(
        grants=open_grants(row.allowed, row.views),
        validFrom=row.valid_from,
        validUntil=row.valid_until,
        termsOfUse=TermsOfUse(row.terms_of_use or TermsOfUse.INTERNAL_USE),
        purpose=row.purpose,
        allowedAddresses=tuple(row.addresses or ()),
        reason=row.reason,
    )
    return Authorization(row.office, row.third_party, row.version, decision, row.set_at, row.set_by)


def open_grants(allowed: Json, views: Json) -> dict[Right, Grant]:
    """Read the stored form; what this program does not know stays closed.

    A class it does not know is not open, and a right whose rule it cannot read is not
    shared: the rule would leave out records this program would give away.
    """
    classes = cast("Mapping[str, list[str]]", allowed)
    limits = cast("Mapping[str, Mapping[str, Any]]", views or {})
    grants = {}
    for name in Right:
        if name not in classes:
            continue
        limit = limits.get(name, {})
        try:
            rule = read_row_rule(limit.get("rows", {}))
        except (TypeError, ValueError):
            continue
        grants[name] = Grant(
            frozenset(Disclosure(each) for each in classes[name] if each in tuple(Disclosure)),
            rule,
            freeText=limit.get("freeText", True) is True,
            since=limit.get("since", 0),
        )
    return grants
