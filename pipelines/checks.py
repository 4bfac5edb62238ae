"""Asset checks a person can run again: what the ledger says about the latest deliveries."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from connectors.ledger import Contact, Delivery
from ipregister.model import Right
from ipregister.profiles import offices
from pipelines import assets
from pipelines.resources import HubResource


@dg.multi_asset_check(
    specs=[*assets.NO_FINDINGS.values(), assets.RECEIPT_ADDS_UP],
    description="Judge the latest finished delivery of every office and right.",
)
def latest_deliveries(hub: HubResource) -> Iterator[dg.AssetCheckResult]:
    """Yield one result per check, over all offices and rights."""
    with hub.open() as stores:
        every = stores.ledger.deliveries.list()
    latest = _latest(every)
    for severity, check in assets.NO_FINDINGS.items():
        found = {
            d.deliveryId: count for d in latest if (count := (d.findings or {}).get(severity, 0))
        }
        yield dg.AssetCheckResult(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"findings": sum(found.values()), "deliveries": dict(found)},
        )
    wrong = [d.deliveryId for d in every if d.receipt is not None and not d.receipt.adds_up()]
    yield dg.AssetCheckResult(
        asset_key=assets.RECEIPT_ADDS_UP.asset_key,
        check_name=assets.RECEIPT_ADDS_UP.name,
        passed=not wrong,
        metadata={"deliveries": len(every), "wrong": wrong},
    )


@dg.multi_asset_check(
    specs=[assets.OFFICES_REACHABLE], description="Judge how collecting from the offices goes."
)
def sftp_contacts(hub: HubResource) -> Iterator[dg.AssetCheckResult]:
    """Yield the one result."""
    with hub.open() as stores:
        contacts = stores.ledger.contacts.all()
    yield offices_reachable(contacts, datetime.now(UTC))


def offices_reachable(contacts: list[Contact], at: datetime) -> dg.AssetCheckResult:
    """Return whether no office's server needs a person, and which do."""
    troubled = {
        contact.office: {
            "failingSince": str(contact.failingSince),
            "nextAttemptAt": str(contact.nextAttemptAt),
            "reason": contact.reason or "",
        }
        for contact in contacts
        if contact.needs_person(at)
    }
    return dg.AssetCheckResult(
        asset_key=assets.OFFICES_REACHABLE.asset_key,
        check_name=assets.OFFICES_REACHABLE.name,
        passed=not troubled,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"offices": len(contacts), "needAPerson": troubled},
    )


def _latest(deliveries: list[Delivery]) -> list[Delivery]:
    """Return the newest finished delivery of every office and right; newest come first."""
    wanted = {(office, right) for office in offices() for right in Right}
    latest = []
    for delivery in deliveries:
        if delivery.receipt is not None and (place := (delivery.office, delivery.right)) in wanted:
            wanted.discard(place)
            latest.append(delivery)
    return latest
