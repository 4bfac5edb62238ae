"""Deliveries in the ledger: what arrived and where it stands; who works on it is ``leases``.

Every step is an event and a row of the audit chain in the transaction that takes it. Which
steps exist is the domain's (``ipregister.deliveries``); bytes are in landing.
"""

import builtins
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from connectors.ledger import idempotency
from connectors.ledger.amendments import amend, refuse_wrong_sums, remark
from connectors.ledger.columns import utc
from connectors.ledger.counters import next_numbers
from connectors.ledger.delivery_rows import one, unknown
from connectors.ledger.delivery_search import DeliveryQuery, search
from connectors.ledger.delivery_steps import note_step, refuse_wrong_step
from connectors.ledger.engine import Database
from connectors.ledger.idempotency import Once
from connectors.ledger.records import (
    Channel,
    DeliveredFile,
    Delivery,
    DeliveryEvent,
    is_plausible,
    office_date,
    office_sequence,
)
from connectors.ledger.schema import deliveries, delivery_events, delivery_files
from ipregister.deliveries import EFFECTIVE, Kind, Receipt, State, identity
from ipregister.errors import InvalidRequest
from ipregister.model import Right

_WITHOUT_EFFECT = (State.DUPLICATE, State.REJECTED, State.WITHDRAWN)


class Deliveries:
    """Recording, moving and finding deliveries."""

    def __init__(self, database: Database) -> None:
        """Keep deliveries in ``database``."""
        self._database = database

    def record(
        self,
        office: str,
        right: Right,
        kind: Kind,
        channel: Channel | str,
        files: Sequence[DeliveredFile],
        at: datetime,
        by: str,
        state: State = State.RECEIVED,
        reason: str | None = None,
        office_day: date | None = None,
        once: Once | None = None,
    ) -> Delivery:
        """Record what arrived; the same content again becomes a duplicate without effect.

        Args:
            office: ST.3 code.
            right: as in the folder.
            kind: the lane.
            channel: the door it came through.
            files: its members in the sender's order; at least one.
            at: instant of arrival.
            by: the account, client or person it came from.
            state: ``received``; ``incomplete`` or ``rejected`` where that is already known.
            reason: why, where the state needs one; a sentence for the office.
            office_day: the office's own date; read from the file names when not given, or
                when it lies in the future and would stand before everything that comes.
            once: the sender's word that this may be a request it made before.

        Returns:
            The delivery; look at ``state``, it may be ``duplicate``. Of a request that came
            before, the delivery it made then.

        Raises:
            KeyReused: the sender gave another request the same key.
        """
        if not files:
            raise InvalidRequest("a delivery has at least one file", office=office)
        at = utc(at)
        content = identity(office, right, kind, (file.sha256 for file in files))
        names = [file.name for file in files]
        is_told = office_day is not None and is_plausible(office_day, at)
        day = office_day if is_told else office_date(names, at)
        # What lies together in a folder is one delivery, and the last look at it counts.
        is_numbered = Channel(channel) is not Channel.SFTP
        with self._database.write() as connection:
            before = None if once is None else idempotency.claim(connection, once, at)
            if before is not None:
                return one(connection, before)
            # Taking the number first makes deliveries of one office and day queue here.
            counter = f"delivery:{office}:{at:%Y%m%d}"
            number = next_numbers(connection, counter, 1)
            if state not in _WITHOUT_EFFECT and (first := _taken(connection, content)):
                state, reason = State.DUPLICATE, _same_as(connection, first)
            delivery_id = f"{office}-{at:%Y%m%d}-{number:04d}"
            row: dict[str, Any] = {
                "delivery_id": delivery_id,
                "office": office,
                "right": right,
                "kind": kind,
                "channel": Channel(channel),
                "identity": content,
                "state": state,
                "reason": reason,
                "received_at": at,
                "received_by": by,
                "office_date": day,
                "office_sequence": office_sequence(names, kind, at) if is_numbered else None,
            }
            connection.execute(insert(deliveries), row)
            connection.execute(
                insert(delivery_files),
                [
                    {"delivery_id": delivery_id, "position": position, **asdict(file)}
                    for position, file in enumerate(files)
                ],
            )
            if once is not None:
                idempotency.settle(connection, once, delivery_id)
            note_step(connection, delivery_id, state, at=at, by=by, reason=reason, before=None)
            return one(connection, delivery_id)

    def get(self, delivery_id: str) -> Delivery:
        """Return one delivery.

        Raises:
            UnknownDelivery: there is none of this identifier.
        """
        with self._database.read() as connection:
            return one(connection, delivery_id)

    def events(self, delivery_id: str) -> builtins.list[DeliveryEvent]:
        """Return the steps of one delivery, oldest first.

        Raises:
            UnknownDelivery: there is none of this identifier.
        """
        c = delivery_events.c
        query = select(c.state, c.at, c.actor, c.reason).order_by(c.position)
        with self._database.read() as connection:
            rows = connection.execute(query.where(c.delivery_id == delivery_id)).all()
        if not rows:
            raise unknown(delivery_id)
        return [DeliveryEvent(State(state), *rest) for state, *rest in rows]

    def move(
        self,
        delivery_id: str,
        to: State,
        at: datetime,
        by: str,
        reason: str | None = None,
        receipt: Receipt | None = None,
        findings: Mapping[str, int] | None = None,
        durations: Mapping[str, float] | None = None,
        expected: State | None = None,
        worker: str | None = None,
        amendments: Mapping[str, Mapping[str, int]] | None = None,
        hold: Mapping[str, Any] | None = None,
    ) -> Delivery:
        """Take a delivery one step further.

        Args:
            delivery_id: which one.
            to: the new state, one of ``NEXT`` of the present one.
            at: instant of the step.
            by: who takes it.
            reason: a sentence for the office; stays empty when not given.
            receipt: counts of records; kept from before when not given, as are the next two.
            findings: counts of findings by severity.
            durations: seconds by step.
            expected: the state the caller saw.
            worker: who must still hold the lease.
            amendments: by how much this one, being late, changes the receipts of newer ones.
            hold: why it waits for the office; kept when it is released.

        Raises:
            UnknownDelivery: there is none of this identifier.
            LedgerConflict: it is not (any more) where this step begins, or another works on it.
            StoreError: the receipt does not add up.
        """
        values: dict[str, Any] = {"state": to, "reason": reason}
        results = {
            "receipt": None if receipt is None else asdict(receipt),
            "findings": None if findings is None else dict(findings),
            "durations": None if durations is None else dict(durations),
            "hold": None if hold is None else dict(hold),
        }
        values |= {name: value for name, value in results.items() if value is not None}
        values |= {"leased_by": None, "leased_until": None}
        values["held_at"] = at if to is State.HELD else None
        mine = deliveries.c.delivery_id == delivery_id
        with self._database.write() as connection:
            row = connection.execute(select(deliveries).where(mine).with_for_update()).one_or_none()
            if row is None:
                raise unknown(delivery_id)
            refuse_wrong_step(row, to, expected, worker)
            if receipt is not None:
                refuse_wrong_sums(connection, receipt, {})
            connection.execute(update(deliveries).where(mine).values(values))
            amended = [
                amend(connection, other, change, delivery_id)
                for other, change in sorted((amendments or {}).items())
            ]
            note_step(
                connection,
                delivery_id,
                to,
                at=at,
                by=by,
                reason=reason,
                before=State(row.state),
                results={name: results[name] for name in ("receipt", "findings")}
                | {"hold": None if hold is None else hold.get("codes")},
            )
            for step in amended:
                note_step(connection, at=at, by=by, **step)
            return one(connection, delivery_id)

    def refuse_wrong_sums(
        self, receipt: Receipt, amendments: Mapping[str, Mapping[str, int]]
    ) -> None:
        """Refuse what ``move`` would refuse, while nobody has seen what it is about.

        Raises:
            UnknownDelivery: an amendment is of a delivery that is not there.
            StoreError: a receipt does not add up, or would not when it is amended.
        """
        with self._database.read() as connection:
            refuse_wrong_sums(connection, receipt, amendments)

    def remark(self, delivery_id: str, at: datetime, by: str, reason: str) -> None:
        """Note in a delivery's history what leaves its state as it is.

        Raises:
            UnknownDelivery: there is none of this identifier.
        """
        with self._database.write() as connection:
            remark(connection, delivery_id, at, by, reason)

    def allocate(self, right: Right, count: int) -> int:
        """Return the first of ``count`` consecutive change numbers of one right.

        They grow strictly and no number is given twice; an abandoned range leaves a gap.
        """
        with self._database.write() as connection:
            return next_numbers(connection, f"change:{right}", count)

    def list(
        self,
        office: str | None = None,
        right: Right | None = None,
        states: Collection[State] | None = None,
        limit: int | None = None,
    ) -> builtins.list[Delivery]:
        """Return deliveries, newest first; all, or at most ``limit``."""
        return self.search(DeliveryQuery(office, right, states=states, limit=limit))

    def search(self, wanted: DeliveryQuery) -> builtins.list[Delivery]:
        """Return the deliveries somebody wants to see, newest first."""
        with self._database.read() as connection:
            return search(connection, wanted)


def _taken(connection: Connection, content: str) -> str | None:
    """Return the delivery that already has this content and an effect, if any."""
    c = deliveries.c
    found: str | None = connection.scalar(
        select(c.delivery_id).where(
            c.identity == content, c.state.not_in(_WITHOUT_EFFECT), c.reverted_at.is_(None)
        )
    )
    return found


def _same_as(connection: Connection, first: str) -> str:
    """Return what an office reads of a duplicate: of what came since, nothing is taken back."""
    earlier = one(connection, first)
    wanted = DeliveryQuery(earlier.office, earlier.right, states=EFFECTIVE, reverted=False, limit=1)
    newest = next(iter(search(connection, wanted)), None)
    is_dry_run = earlier.kind is Kind.TEST  # nothing came after it, and nothing is to revert
    if is_dry_run or newest is None or newest.receivedAt <= earlier.receivedAt:
        return f"same content as delivery {first}"
    return (
        f"same content as delivery {first}; what came after it, last {newest.deliveryId}, stays "
        f"as it is. Revert that to go back to {first}, or export again what should be new"
    )
