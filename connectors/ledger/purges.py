"""Announced purges: an office's word, given before, that one delivery may remove many records.

An approval is good for one delivery, which takes it when its guards would hold it for what
disappears and for nothing else; until then it can be taken back. What such a delivery is, is
``ipregister.holds``.
"""

import builtins
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from connectors.ledger import audit, idempotency
from connectors.ledger.counters import next_numbers
from connectors.ledger.engine import Database
from connectors.ledger.idempotency import Once
from connectors.ledger.schema import purge_approvals
from ipregister.dates import refuse_other_era
from ipregister.errors import InvalidRequest, LedgerConflict
from ipregister.instants import instant
from ipregister.model import Right

GOOD_FOR = timedelta(days=30)
"""An approval nobody used in a month was forgotten, and a forgotten one is an open door."""


@dataclass(frozen=True, slots=True)
class PurgeApproval:
    """One announced purge; ``until`` is its last day (UTC), ``upTo`` counts records."""

    approvalId: int
    office: str
    right: Right
    upTo: int
    until: date
    reason: str
    approvedAt: datetime
    approvedBy: str
    usedAt: datetime | None = None
    usedBy: str | None = None
    withdrawnAt: datetime | None = None
    withdrawnBy: str | None = None

    def is_open(self, today: date) -> bool:
        """Tell whether a delivery could still use it on this day (UTC)."""
        return self.usedBy is None and self.withdrawnAt is None and self.until >= today

    def document(self) -> dict[str, Any]:
        """Return the JSON form; ``usedBy`` is a delivery."""
        return {
            "approvalId": self.approvalId,
            "office": self.office,
            "right": self.right,
            "upTo": self.upTo,
            "until": self.until.isoformat(),
            "reason": self.reason,
            "approvedAt": instant(self.approvedAt),
            "approvedBy": self.approvedBy,
            "usedAt": instant(self.usedAt) if self.usedAt else None,
            "usedBy": self.usedBy,
            "withdrawnAt": instant(self.withdrawnAt) if self.withdrawnAt else None,
            "withdrawnBy": self.withdrawnBy,
        }


class Purges:
    """Approving purges, and using an approval up or taking it back."""

    def __init__(self, database: Database) -> None:
        """Keep approvals in ``database``."""
        self._database = database

    def approve(
        self,
        office: str,
        right: Right,
        *,
        up_to: int,
        at: datetime,
        by: str,
        reason: str,
        until: date | None = None,
        once: Once | None = None,
    ) -> PurgeApproval:
        """Let one delivery of an office and right remove up to ``up_to`` records.

        Args:
            office: ST.3 code.
            right: of which right.
            up_to: records that may disappear, at least 1.
            at: instant of the approval.
            by: who approves.
            reason: why, in a sentence.
            until: last day (UTC); ``GOOD_FOR`` from ``at`` when not given.
            once: the sender's word that it is the same request as before, if it gave one.

        Returns:
            The approval; of a request that came before, the one it gave then.

        Raises:
            InvalidRequest: nothing to approve, no reason, or the last day is past.
            KeyReused: the sender gave another request the same key.
        """
        today = at.astimezone(UTC).date()
        until = until or today + GOOD_FOR
        if up_to < 1 or not reason.strip():
            raise InvalidRequest("name how many records may disappear (1 or more), and why")
        if until < today:
            raise InvalidRequest(f"{until} is past: name a later day")
        refuse_other_era(until)
        with self._database.write() as connection:
            before = None if once is None else idempotency.claim(connection, once, at)
            if before is not None:
                return _one(connection, int(before))
            number = next_numbers(connection, "purge_approval", 1)
            row = {"approval_id": number, "office": office, "right": right, "up_to": up_to}
            row |= {"until": until, "reason": reason, "approved_at": at, "approved_by": by}
            connection.execute(insert(purge_approvals), row)
            approval = _one(connection, number)
            if once is not None:
                idempotency.settle(connection, once, str(number))
            audit.append(
                connection,
                at=at,
                by=by,
                action="purge:approved",
                subject=f"{office} {right} {number}",
                before=None,
                after=approval.document(),
            )
        return approval

    def take(
        self, office: str, right: Right, *, vanishing: int, delivery_id: str, at: datetime, by: str
    ) -> PurgeApproval | None:
        """Use up the approval that covers a delivery; again for the same one changes nothing.

        Of several the one that ends first is taken.
        """
        c = purge_approvals.c
        open_ones = (
            select(c.approval_id)
            .where(c.office == office, c.right == right)
            .where(c.used_by.is_(None), c.withdrawn_at.is_(None))
            .where(c.up_to >= vanishing, c.until >= at.astimezone(UTC).date())
            .order_by(c.until, c.approval_id)
            .limit(1)
            .with_for_update()
        )
        with self._database.write() as connection:
            if (taken := _of(connection, delivery_id)) is not None:
                return taken if taken.upTo >= vanishing else None
            number = connection.scalar(open_ones)
            if number is None:
                return None
            used = {"used_by": delivery_id, "used_at": at}
            connection.execute(update(purge_approvals).where(c.approval_id == number).values(used))
            audit.append(
                connection,
                at=at,
                by=by,
                action="purge:used",
                subject=f"{office} {right} {number}",
                before={"usedBy": None},
                after={"usedBy": delivery_id, "vanishing": vanishing},
            )
            return _one(connection, number)

    def withdraw(
        self, office: str, number: int, *, at: datetime, by: str, reason: str
    ) -> PurgeApproval:
        """Take an announced purge back that no delivery has used.

        Raises:
            InvalidRequest: the office announced none of this number, or there is no reason.
            LedgerConflict: a delivery has used it, it was taken back already, or has ended.
        """
        if not reason.strip():
            raise InvalidRequest("say why the announced purge is taken back")
        c = purge_approvals.c
        mine = select(c.approval_id).where(c.approval_id == number, c.office == office)
        with self._database.write() as connection:
            if connection.scalar(mine.with_for_update()) is None:
                raise InvalidRequest(f"{office} has no announced purge {number}")
            before = _one(connection, number)
            if not before.is_open(at.astimezone(UTC).date()):
                raise LedgerConflict(f"announced purge {number} {_ended(before)}")
            withdrawn = {"withdrawn_at": at, "withdrawn_by": by}
            mine_now = update(purge_approvals).where(c.approval_id == number)
            connection.execute(mine_now.values(withdrawn))
            after = _one(connection, number)
            audit.append(
                connection,
                at=at,
                by=by,
                action="purge:withdrawn",
                subject=f"{office} {before.right} {number}",
                before=before.document(),
                after=after.document() | {"withdrawnReason": reason},
            )
        return after

    def get(self, office: str, number: int) -> PurgeApproval | None:
        """Return an office's approval, if there is one of this number."""
        return next((each for each in self.list(office) if each.approvalId == number), None)

    def of(self, delivery_id: str) -> PurgeApproval | None:
        """Return the approval a delivery has used up, if any."""
        with self._database.read() as connection:
            return _of(connection, delivery_id)

    def list(
        self, office: str | None = None, right: Right | None = None
    ) -> builtins.list[PurgeApproval]:
        """Return approvals, newest first."""
        c = purge_approvals.c
        query = select(purge_approvals).order_by(c.approval_id.desc())
        if office is not None:
            query = query.where(c.office == office)
        if right is not None:
            query = query.where(c.right == right)
        with self._database.read() as connection:
            return [_approval(row) for row in connection.execute(query)]


def _of(connection: Connection, delivery_id: str) -> PurgeApproval | None:
    query = select(purge_approvals).where(purge_approvals.c.used_by == delivery_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _approval(row)


def _one(connection: Connection, number: int) -> PurgeApproval:
    query = select(purge_approvals).where(purge_approvals.c.approval_id == number)
    return _approval(connection.execute(query).one())


def _ended(approval: PurgeApproval) -> str:
    if approval.usedBy:
        return f"was used by {approval.usedBy}: revert that delivery to undo it"
    if approval.withdrawnAt:
        return f"was taken back by {approval.withdrawnBy}"
    return f"ended unused on {approval.until}"


def _approval(row: Row[Any]) -> PurgeApproval:
    return PurgeApproval(
        approvalId=row.approval_id,
        office=row.office,
        right=Right(row.right),
        upTo=row.up_to,
        until=row.until,
        reason=row.reason,
        approvedAt=row.approved_at,
        approvedBy=row.approved_by,
        usedAt=row.used_at,
        usedBy=row.used_by,
        withdrawnAt=row.withdrawn_at,
        withdrawnBy=row.withdrawn_by,
    )
