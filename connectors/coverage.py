"""How much of an office's register is in the hub: counts by right and year, age, fill rates.

Counted over what every record is now; what is withheld from third parties does not matter
here. How good the data is says the quality report.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from connectors.hub import Hub
from connectors.ledger import Delivery, DeliveryQuery
from connectors.register.ordering import ranked
from ipregister.deliveries import EFFECTIVE
from ipregister.instants import instant
from ipregister.model import Right, load_tables
from ipregister.profiles import load_profile

FEW = 5
"""Who sees all offices is told no smaller count by year: it may point to one applicant."""

_LATEST = """
SELECT * FROM ({rows})
QUALIFY row_number() OVER (PARTITION BY recordId ORDER BY rank DESC) = 1
"""

_SCALARS = frozenset({"string", "date", "integer", "boolean"})


@dataclass(frozen=True, slots=True)
class YearCount:
    """Records filed in one year; no year where the application date is unknown.

    ``records`` is left out where it is below ``FEW`` and the reader sees all offices, and of
    further years where what is missing from ``received`` would tell it all the same.
    """

    year: int | None
    records: int | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """One right of one office.

    ``received`` counts records the office has sent and not taken away, ``held`` those whose
    newest version waits for the office, ``visible`` those third parties can be let see.
    """

    right: Right
    received: int
    visible: int
    held: int
    byYear: tuple[YearCount, ...]
    lastDelivery: Delivery | None
    fillRates: dict[str, float] | None

    def document(self, at: datetime) -> dict[str, Any]:
        """Return the JSON form; ages are counted to ``at``."""
        last = self.lastDelivery
        return {
            "right": self.right,
            "received": self.received,
            "visible": self.visible,
            "held": self.held,
            "byApplicationYear": [asdict(year) for year in self.byYear],
            "lastDelivery": last
            and {
                "deliveryId": last.deliveryId,
                "kind": last.kind,
                "state": last.state,
                "receivedAt": instant(last.receivedAt),
                "ageDays": (at - last.receivedAt).days,
            },
        } | ({} if self.fillRates is None else {"fillRates": self.fillRates})


def coverage(
    hub: Hub, office: str, *, fill_rates: bool = False, only_counts: bool = False
) -> list[Coverage]:
    """Return what the hub has of one office, for each right it may send.

    Args:
        hub: the stores.
        office: ST.3 code.
        fill_rates: also the share of records that have a value, by field.
        only_counts: the reader sees all offices: leave out small numbers.
    """
    visible = hub.serving.totals()
    found = []
    for right in (right for right in Right if right in load_profile(office).rights):
        years, held, rates = _counted(hub, right, office, fill_rates=fill_rates)
        received = sum(count for _, count in years)
        few = _too_few([count for _, count in years]) if only_counts else 0
        found.append(
            Coverage(
                right=right,
                received=received,
                visible=visible.get((office, right), 0),
                held=held,
                byYear=tuple(
                    YearCount(year, None if count < few else count) for year, count in years
                ),
                lastDelivery=_last(hub, office, right),
                fillRates=rates,
            )
        )
    return found


def _too_few(counts: Sequence[int]) -> int:
    """Return from which number on counts are told, so that none below ``FEW`` can be worked out.

    The sum of what is left out is known. That of one year would be its count, and a sum below
    ``FEW`` points to few applicants whichever their years.
    """
    few, left_out = FEW, [count for count in counts if count < FEW]
    for count in sorted(count for count in counts if count >= FEW):
        if not left_out or (len(left_out) > 1 and sum(left_out) >= FEW):
            break
        # Equal ones go together: which of them was chosen tells nothing.
        few, left_out = count + 1, [each for each in counts if each <= count]
    return few


def _counted(
    hub: Hub, right: Right, office: str, *, fill_rates: bool
) -> tuple[list[tuple[int | None, int]], int, dict[str, float] | None]:
    fields = [field.name for field in load_tables()[right].fields if field.type in _SCALARS]
    with hub.register.connect() as con:
        hub.register.define_history(con, right, office, "history")
        latest = f"({_LATEST.format(rows=ranked('history'))}) WHERE op <> 'vanish'"
        rows = con.execute(
            f"""
            SELECT year(applicationDate) AS filed, count(*), count(*) FILTER (held)
            FROM {latest} GROUP BY filed ORDER BY filed NULLS LAST
            """
        ).fetchall()
        rates = None
        if fill_rates:
            counts = ", ".join(f'count("{name}") / greatest(count(*), 1)' for name in fields)
            ((*shares,),) = con.execute(f"SELECT {counts} FROM {latest}").fetchall()
            rates = {name: round(share, 4) for name, share in zip(fields, shares, strict=True)}
    return [(year, count) for year, count, _ in rows], sum(held for *_, held in rows), rates


def _last(hub: Hub, office: str, right: Right) -> Delivery | None:
    """Return the last delivery that took effect, and still has it."""
    query = DeliveryQuery(office=office, right=right, states=EFFECTIVE, reverted=False, limit=1)
    return next(iter(hub.ledger.deliveries.search(query)), None)
