"""What a delivery says differently now, from the decision to readers.

The decision is written down before anything follows from it, so that whoever comes next, after
a crash, carries it out exactly. Reading again and comparing is ``reprocessing``'s.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from connectors.changes import Changes
from connectors.faults import reach
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.publication import append_to_register, publish_to_serving
from connectors.register.manifests import keep_manifest
from ipregister.model import Right
from ipregister.report_words import count_of
from pipelines.journey import manifest_of

DECISION = "publication.json"
"""Beside plan and rows; backups keep the directory of such a file whole, sweeps leave it alone."""

_PREFIX = "reprocessing"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """What one delivery, read again, has changed; versions of mapping and rules before and now."""

    deliveryId: str
    office: str
    right: Right
    changes: int
    before: str | None
    now: str


@dataclass(frozen=True, slots=True)
class Rederived:
    """The changes of one delivery that was read again, in ``directory``; ``at`` is UTC."""

    directory: Path
    done: Reprocessed
    rows: tuple[str, ...]
    first_change: int
    at: datetime
    by: str


def directory_of(hub: Hub, office: str, right: Right) -> Path:
    """Return where deliveries of one office and right are read again, one after the other."""
    return hub.home.staging(f"{_PREFIX}-{office}-{right}")


def plan_in(directory: Path) -> Path:
    """Return where the changes are planned."""
    return directory / "plan.parquet"


def manifest_in(directory: Path) -> Path:
    """Return where the new manifest waits until its changes took effect."""
    return directory / "again.parquet"


def remember(hub: Hub, decided: Rederived) -> None:
    """Write the decision down; from here on it will be carried out.

    Raises:
        StoreError: it was not compared alone, and so is none.
    """
    document = asdict(decided) | {"directory": None, "at": decided.at.isoformat()}
    unfinished = decided.directory / "publication.unfinished"
    unfinished.write_text(json.dumps(document), "utf-8")
    reach("reprocess.unfinished")
    decision = decided.directory / DECISION
    unfinished.replace(decision)
    reach("reprocess.decided")
    hub.confirm_alone(decided.done.office, decided.done.right, decision)


def begun(hub: Hub) -> list[tuple[str, Right]]:
    """Return the offices and rights of which something was decided and is not carried out."""
    decisions = hub.home.root.glob(f"staging/{_PREFIX}-*/{DECISION}")
    places = [path.parent.name.removeprefix(f"{_PREFIX}-").split("-") for path in decisions]
    return [(office, Right(right)) for office, right in places]


def finish_rederived(hub: Hub, office: str, right: Right, at: datetime) -> list[Reprocessed]:
    """Carry out now what was decided of one office and right before a crash; return what it was."""
    directory = directory_of(hub, office, right)
    if not (directory / DECISION).exists():
        return []
    return [publish_rederived(hub, _remembered(directory), at)]


def publish_rederived(hub: Hub, decided: Rederived, at: datetime) -> Reprocessed:
    """Append the changes to the log, show them to readers now, tell the ledger; repeatable."""
    done = decided.done
    with hub.gate.passing():
        _publish(hub, decided, hub.ledger.deliveries.get(done.deliveryId), at)
        (decided.directory / DECISION).unlink()
        reach("reprocess.forgotten")
    shutil.rmtree(decided.directory)
    log.info("delivery_reprocessed", delivery_id=done.deliveryId, changes=done.changes)
    return done


def _publish(hub: Hub, decided: Rederived, delivery: Delivery, at: datetime) -> None:
    done, directory = decided.done, decided.directory
    changes = Changes(
        delivery_id=f"{delivery.deliveryId}~{decided.first_change}",
        office=delivery.office,
        right=delivery.right,
        plan=plan_in(directory),
        rows=[directory / name for name in decided.rows],
        first_change=decided.first_change,
        at=decided.at,
        cause="processing",
    )
    publish_to_serving(
        hub.register, hub.serving, changes, at, lambda: append_to_register(hub.register, changes)
    )
    reach("reprocess.served")
    keep_manifest(manifest_in(directory), manifest_of(hub, delivery))
    reach("reprocess.manifest")
    changed = f"{count_of(done.changes, 'record')} changed by mapping or rules {done.now}"
    reason = f"reprocessed: {changed}"
    told = hub.ledger.deliveries.events(delivery.deliveryId)
    if (decided.at, reason) not in [(event.at, event.reason) for event in told]:
        hub.ledger.deliveries.remark(delivery.deliveryId, decided.at, decided.by, reason)
    reach("reprocess.remarked")


def _remembered(directory: Path) -> Rederived:
    document: dict[str, Any] = json.loads((directory / DECISION).read_text("utf-8"))
    done = document["done"]
    return Rederived(
        directory,
        Reprocessed(**done | {"right": Right(done["right"])}),
        tuple(document["rows"]),
        document["first_change"],
        datetime.fromisoformat(document["at"]),
        document["by"],
    )
