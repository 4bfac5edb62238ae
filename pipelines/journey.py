"""One delivery on its way: what is known of it, and what survives a crash.

The order of the steps is ``ingest``'s.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter

from connectors.between_steps import is_decided
from connectors.faults import reach
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.register.manifests import Effective
from ipregister.deliveries import EFFECTIVE, UNFINISHED, Kind, Receipt, State
from ipregister.holds import Hold, HoldCode


@dataclass(slots=True)
class Journey:
    """One delivery on its way: what it is, and seconds per step."""

    hub: Hub
    delivery: Delivery
    worker: str
    clock: Callable[[], datetime]
    durations: dict[str, float] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """Return where the delivery is worked on."""
        return self.hub.home.staging(self.delivery.deliveryId)

    def timed(self, step: str, started: float) -> None:
        """Note how long a step took, and keep the delivery ours for the next one."""
        self.durations[step] = round(perf_counter() - started, 4)
        self.hub.ledger.leases.renew(self.delivery.deliveryId, self.worker, self.clock())


@dataclass(frozen=True, slots=True)
class Decided:
    """A delivery that will be published: its changes and their place in the log."""

    plan: Path
    rows: tuple[Path, ...]
    first_change: int
    receipt: Receipt
    findings: dict[str, int]
    amendments: dict[str, dict[str, int]] = field(default_factory=dict)


def move(
    journey: Journey,
    state: State,
    receipt: Receipt,
    findings: dict[str, int],
    reason: str | None,
    amendments: Mapping[str, Mapping[str, int]] | None = None,
    hold: Hold | None = None,
) -> Delivery:
    """Take the delivery to the state it ends this step in, if it is still ours."""
    return journey.hub.ledger.deliveries.move(
        journey.delivery.deliveryId,
        state,
        journey.clock(),
        journey.worker,
        reason=reason,
        receipt=receipt,
        findings=findings,
        durations=journey.durations,
        worker=journey.worker,
        amendments=amendments,
        hold=None if hold is None else hold.document(),
    )


def was_held(journey: Journey) -> bool:
    """Tell whether the office has already released this delivery, knowing what was found.

    Where the guard itself had failed nothing was measured: who released that decided nothing.
    """
    hold = journey.delivery.hold
    judged = hold is None or hold["code"] != HoldCode.GUARD_FAILED
    return journey.delivery.receipt is not None and judged


def newer_deliveries(journey: Journey) -> list[Effective]:
    """Return the deliveries behind this one in the office's order that took effect, oldest first.

    There are some only when this one is late, or was held meanwhile.
    """
    return effective_after(journey.hub, journey.delivery)


def effective_after(hub: Hub, delivery: Delivery) -> list[Effective]:
    """Return what took effect and counts behind a delivery's place in the order, oldest first."""
    published = hub.ledger.deliveries.list(
        office=delivery.office,
        right=delivery.right,
        states=EFFECTIVE,
    )
    newer = [
        other for other in published if other.order > delivery.order and other.revertedAt is None
    ]
    return [
        Effective(other.deliveryId, other.kind, other.order, manifest_of(hub, other))
        for other in sorted(newer, key=lambda other: other.order)
    ]


def decided_before(journey: Journey) -> list[Delivery]:
    """Return the other deliveries of this office and right that were decided, oldest first."""
    delivery, hub = journey.delivery, journey.hub
    waiting = hub.ledger.deliveries.list(
        office=delivery.office, right=delivery.right, states=UNFINISHED
    )
    decided = [
        other
        for other in waiting
        if other.deliveryId != delivery.deliveryId and is_decided(hub, other.deliveryId)
    ]
    return sorted(decided, key=lambda other: other.order)


def manifest_of(hub: Hub, delivery: Delivery) -> Path:
    """Return where the manifest of a delivery that took effect is kept."""
    return hub.register.manifest(delivery.right, delivery.office, delivery.deliveryId)


def earlier_findings(journey: Journey) -> list[Path]:
    """Return the findings of the office's five latest deliveries of this right.

    Dry runs are none of them: whatever was tried, a delivery is told the same.
    """
    delivery, hub = journey.delivery, journey.hub
    earlier = [
        other.deliveryId
        for other in hub.ledger.deliveries.list(office=delivery.office, right=delivery.right)
        if other.deliveryId != delivery.deliveryId and other.kind is not Kind.TEST
    ]
    return [path for name in earlier[:5] if (path := hub.home.findings(name)).exists()]


def remember(journey: Journey, decided: Decided) -> None:
    """Write down the decision, so that a crash after this point repeats it exactly.

    Raises:
        StoreError: it was not compared alone, and so is none: the delivery is to be compared again.
    """
    document = {
        "plan": decided.plan.name,
        "rows": [path.name for path in decided.rows],
        "firstChange": decided.first_change,
        "receipt": {name: getattr(decided.receipt, name) for name in Receipt.__dataclass_fields__},
        "findings": decided.findings,
        "amendments": decided.amendments,
    }
    unfinished = journey.directory / "publication.unfinished"
    unfinished.write_text(json.dumps(document), "utf-8")
    reach("decision.unfinished")
    decision = journey.directory / "publication.json"
    unfinished.replace(decision)
    reach("decision.named")
    journey.hub.confirm_alone(journey.delivery.office, journey.delivery.right, decision)


def remembered(journey: Journey) -> Decided:
    """Return the decision written down before a crash."""
    document = json.loads((journey.directory / "publication.json").read_text("utf-8"))
    return Decided(
        plan=journey.directory / document["plan"],
        rows=tuple(journey.directory / name for name in document["rows"]),
        first_change=document["firstChange"],
        receipt=Receipt(**document["receipt"]),
        findings=document["findings"],
        amendments=document["amendments"],
    )
