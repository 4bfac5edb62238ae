"""Authorizations in the ledger: the present version and every one before it.

A version is never changed: a new decision is a new version, with its state before and after
in the audit chain. What an authorization means is ``ipregister.authorizations``, how its
rows are written and read ``authorization_rows``.
"""

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from types import MappingProxyType

from sqlalchemy import select

from connectors.ledger import audit
from connectors.ledger.authorization_rows import find, present, write
from connectors.ledger.columns import Json, microseconds
from connectors.ledger.engine import Database
from connectors.ledger.schema import audit as chain
from connectors.ledger.schema import authorization_versions, authorizations
from connectors.ledger.third_parties import third_party_name
from ipregister.authorization_forms import check_withheld
from ipregister.authorizations import Authorization, Decision, Grant, check_office
from ipregister.dates import refuse_other_era
from ipregister.decision_documents import MAX_TEXT, one_line
from ipregister.errors import InvalidRequest, LedgerConflict
from ipregister.model import Disclosure, Right
from ipregister.profiles import load_profile

SET, REVOKED = "authorization:set", "authorization:revoked"
"""What the audit chain calls the two kinds of decision."""


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
            valid_until: last day at the office, or for good.
            at: instant of the decision.
            by: who decides.
            expected_version: the version the caller saw, 0 for none.

        Raises:
            InvalidRequest: unknown office, third party, right or class, or a day in the past.
            LedgerConflict: someone else decided since ``expected_version``.
        """
        grants = {right: Grant(classes) for right, classes in check_withheld(rights).items()}
        decision = Decision(grants, validUntil=valid_until)
        return self.decide(office, third_party, decision, at, by, expected_version)

    def decide(
        self,
        office: str,
        third_party: str,
        decision: Decision,
        at: datetime,
        by: str,
        expected_version: int | None = None,
        *,
        behind: Mapping[Right, int] = MappingProxyType({}),
    ) -> Authorization:
        """Let a decision be the authorization from the next request on.

        What it shares is ready in the serving store before (``connectors.views``), and begins
        behind the instants ``behind`` (microseconds since 1970), if they are later than ``at``.
        The same decision again is no new version. Arguments and errors as of ``set``.
        """
        until = decision.validUntil
        if until is not None and until < load_profile(check_office(office)).day_of(at):
            raise InvalidRequest(f"{until} is past: name a later day, or revoke")
        refuse_other_era(decision.validFrom, until)
        return self._decide(office, third_party, decision, at, by, expected_version, behind)

    def revoke(
        self,
        office: str,
        third_party: str,
        at: datetime,
        by: str,
        expected_version: int | None = None,
        *,
        reason: str | None = None,
    ) -> Authorization:
        """Share nothing any more, from the next request on.

        Raises:
            InvalidRequest: unknown office or third party, nothing to revoke, or no readable reason.
            LedgerConflict: someone else decided since ``expected_version``.
        """
        line = None if reason is None else one_line(reason)
        if line is None and reason is not None:
            raise InvalidRequest(f"reason: a text of 1 to {MAX_TEXT} printable characters")
        revoked = Decision(reason=line)
        return self._decide(office, third_party, revoked, at, by, expected_version)

    def show(self, office: str, third_party: str) -> Authorization | None:
        """Return the present version, revoked or not, or ``None`` if there never was one."""
        with self._database.read() as connection:
            name = third_party_name(connection, third_party)
            return present(connection, check_office(office), name)

    def history(self, office: str, third_party: str) -> builtins.list[Authorization]:
        """Return every version, oldest first."""
        with self._database.read() as connection:
            name = third_party_name(connection, third_party)
            return find(connection, authorization_versions, check_office(office), name)

    def written(self, authorization: Authorization) -> audit.Head:
        """Return where in the audit chain the decision behind a version stands."""
        subject = _subject(authorization.office, authorization.thirdParty)
        query = select(chain.c.seq, chain.c.hash, chain.c.after).where(
            chain.c.subject == subject, chain.c.action.in_((SET, REVOKED))
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return next(
            audit.Head(row.seq, row.hash)
            for row in rows
            if row.after["version"] == authorization.version
        )

    def list(
        self, office: str | None = None, third_party: str | None = None
    ) -> builtins.list[Authorization]:
        """Return the present versions by office and third party, revoked ones too."""
        with self._database.read() as connection:
            name = third_party_name(connection, third_party) if third_party is not None else None
            return find(connection, authorizations, office and check_office(office), name)

    def _decide(
        self,
        office: str,
        third_party: str,
        decision: Decision,
        at: datetime,
        by: str,
        expected_version: int | None,
        behind: Mapping[Right, int] = MappingProxyType({}),
    ) -> Authorization:
        check_office(office)
        with self._database.write() as connection:
            name = third_party_name(connection, third_party)
            before = present(connection, office, name, lock=True)
            version = before.version if before else 0
            if expected_version is not None and expected_version != version:
                raise LedgerConflict(
                    f"the authorization of {name} by {office} is at version {version}, "
                    f"not {expected_version}: look at it again"
                )
            if not decision.grants and (before is None or before.is_revoked):
                raise InvalidRequest(f"{office} shares nothing with {name}: nothing to revoke")
            decision = _dated(office, decision, before, at, behind)
            if before and replace(before.decision, reason=decision.reason) == decision:
                return before
            after = Authorization(office, name, version + 1, decision, at, by)
            write(connection, after)
            audit.append(
                connection,
                at=at,
                by=by,
                action=SET if decision.grants else REVOKED,
                subject=_subject(office, name),
                before=_audited(before) if before else None,
                after=_audited(after),
            )
        return after


def _dated(
    office: str,
    decision: Decision,
    before: Authorization | None,
    at: datetime,
    behind: Mapping[Right, int],
) -> Decision:
    """Note for each right since when its records are shared without a break."""
    start = microseconds(at)
    if decision.validFrom is not None:
        start = max(start, microseconds(load_profile(office).start_of(decision.validFrom)))
    went_on = before is not None and before.holds(at)
    known = before.grants if before is not None and went_on and start == microseconds(at) else {}
    grants = {}
    for right, grant in decision.grants.items():
        old = known.get(right)
        same = old is not None and (old.rule, old.freeText) == (grant.rule, grant.freeText)
        begins = max(start, behind.get(right, 0) + 1)
        grants[right] = replace(grant, since=old.since if old and same else begins)
    return replace(decision, grants=grants)


def _subject(office: str, third_party: str) -> str:
    return f"{office}:{third_party}"


def _audited(authorization: Authorization) -> Json:
    return {"version": authorization.version} | authorization.decision.document()
