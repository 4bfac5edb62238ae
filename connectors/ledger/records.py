"""What the ledger gives back about deliveries: values, not rows.

Member names are those of the JSON documents. States and receipts are the domain's
(``ipregister.deliveries``).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from ipregister.dates import st2_date
from ipregister.deliveries import Kind, Receipt, State
from ipregister.holds import Escalation, escalation
from ipregister.instants import instant
from ipregister.model import Right
from ipregister.profiles import load_profile

_DAY = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)([01][0-9])\2([0-3][0-9])(?![0-9])")
_SEQUENCE = re.compile(r"[-_]([0-9]{1,9})(?![0-9A-Za-z])")
"""What stands behind the day: ``KH20260301_002.zip``. ``_1of3`` is a part, no sequence."""


class Channel(StrEnum):
    """The door a delivery came through."""

    SFTP = "sftp"
    API = "api"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """One member of a delivery: the sender's name, address in landing (hex), size in bytes."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """One step of a delivery's life."""

    state: State
    at: datetime
    actor: str
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "state": self.state,
            "at": instant(self.at),
            "actor": self.actor,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an office sent and what became of it.

    ``officeDate`` is the office's own date, read from the file names, ``officeSequence`` its
    number within that day, where there is one; ``findings`` counts by severity; ``durations``
    are seconds by step. ``hold`` is why it was held last (``ipregister.holds``), ``heldAt``
    since when while it is; ``reversal`` counts what a revert changed.
    """

    deliveryId: str
    office: str
    right: Right
    kind: Kind
    channel: Channel
    identity: str
    state: State
    reason: str | None
    receivedAt: datetime
    receivedBy: str
    officeDate: date | None
    files: tuple[DeliveredFile, ...]
    receipt: Receipt | None = None
    findings: Mapping[str, int] | None = None
    durations: Mapping[str, float] | None = None
    hold: Mapping[str, Any] | None = None
    heldAt: datetime | None = None
    revertedAt: datetime | None = None
    revertedBy: str | None = None
    reversal: Mapping[str, Any] | None = None
    officeSequence: int | None = None

    def escalation(self, at: datetime) -> Escalation | None:
        """Return how urgent the office's decision is, while the delivery is held."""
        return None if self.heldAt is None else escalation(self.heldAt, at)

    @property
    def order(self) -> str:
        """Return the delivery's place in the office's order; texts compare as they sort.

        The office's own date counts first (its day at the arrival where it gave none), then its
        number within the day, behind those without one, then arrival.
        """
        day = self.officeDate or load_profile(self.office).day_of(self.receivedAt)
        # The letter sorts behind the year that an arrival begins with.
        number = "" if self.officeSequence is None else f"n{self.officeSequence:09d} "
        arrived = self.receivedAt.astimezone(UTC).isoformat(timespec="microseconds")
        return f"{day.isoformat()} {number}{arrived} {self.deliveryId}"

    def document(self, at: datetime | None = None) -> dict[str, Any]:
        """Return the JSON form; what is not known yet is null.

        Args:
            at: now (UTC); with it the document says how urgent a held delivery is.
        """
        urgency = None if at is None else self.escalation(at)
        return {
            "deliveryId": self.deliveryId,
            "office": self.office,
            "right": self.right,
            "kind": self.kind,
            "channel": self.channel,
            "state": self.state,
            "reason": self.reason,
            "receivedAt": instant(self.receivedAt),
            "receivedBy": self.receivedBy,
            "officeDate": self.officeDate.isoformat() if self.officeDate else None,
            "officeSequence": self.officeSequence,
            "identity": self.identity,
            "files": [asdict(file) for file in self.files],
            "receipt": asdict(self.receipt) if self.receipt else None,
            "findings": dict(self.findings) if self.findings is not None else None,
            "durations": dict(self.durations) if self.durations is not None else None,
            "hold": dict(self.hold) if self.hold is not None else None,
            "heldAt": instant(self.heldAt) if self.heldAt else None,
            "escalation": urgency.document() if urgency else None,
            "revertedAt": instant(self.revertedAt) if self.revertedAt else None,
            "revertedBy": self.revertedBy,
            "reversal": dict(self.reversal) if self.reversal is not None else None,
        }


def office_date(names: Iterable[str], at: datetime) -> date | None:
    """Return the latest day written in the file names, not later than tomorrow.

    Of several days in one name the last counts: extraction names end with the day of
    extraction. A day in the future is a number that looks like one.
    """
    found = [place[0] for name in names if (place := _place(name, at)) is not None]
    return max(found, default=None)


def office_sequence(names: Iterable[str], kind: Kind, at: datetime) -> int | None:
    """Return the office's number of a delivery within its day, read from the file names.

    Of several numbers the last counts for an extraction, which says everything up to there,
    and the first for an update: the correction of one of its files comes after it.
    """
    places = [place for name in names if (place := _place(name, at)) is not None]
    latest = max((day for day, _ in places), default=None)
    numbers = [number for day, number in places if day == latest and number is not None]
    if not numbers:
        return None
    return min(numbers) if kind is Kind.UPDATE else max(numbers)


def is_plausible(day: date, at: datetime) -> bool:
    """Tell whether an office's day may be meant: its own day is at most one ahead of UTC's."""
    return day <= at.astimezone(UTC).date() + timedelta(days=1)


def _place(name: str, at: datetime) -> tuple[date, int | None] | None:
    """Return the last plausible day in a name, and the number right behind it."""
    found = None
    for match in _DAY.finditer(name):
        day = st2_date("".join(match.group(1, 3, 4)))
        if day is not None and is_plausible(day, at):
            number = _SEQUENCE.match(name, match.end())
            found = day, int(number[1]) if number else None
    return found
