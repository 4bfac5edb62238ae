"""What is worth telling a third party: exactly what it could find out by asking, no more.

The state of each office and right is told in numbers its reader may know (the feed's own), so
a change the reader may not see changes no state and sends nothing.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from connectors.ledger import Ledger
from connectors.ledger.columns import Json
from connectors.ledger.webhook_records import Webhook
from connectors.serving.rows import Space
from connectors.serving_store import ServingStore
from ipregister.authorizations import Grant
from ipregister.instants import instant
from ipregister.model import Right

CHANGES, AUTHORIZATION, RETRACTED = (
    "changes.available",
    "authorization.changed",
    "records.retracted",
)
"""Types of notifications."""


def notice(ledger: Ledger, serving: ServingStore, *, at: datetime) -> int:
    """Queue what every webhook must be told; return how many notifications that were."""
    queued = 0
    for webhook in ledger.webhooks.list():
        client = ledger.clients.by_id(webhook.clientId)
        if client is None or not client.is_active or client.thirdParty is None:
            ledger.webhooks.end(
                webhook.webhookId, at=at, by="hub", because="its client was revoked"
            )
            continue
        now = _state(ledger, serving, client.thirdParty, at)
        if now == webhook.told:
            continue
        bodies = list(_bodies(webhook, now, at))
        if ledger.webhooks.tell(webhook, now, bodies, at=at):
            queued += len(bodies)
    return queued


def _state(ledger: Ledger, serving: ServingStore, third_party: str, at: datetime) -> dict[str, str]:
    """Return what a third party could know of each space: its grant, and how far the feed is."""
    grants: dict[Space, Grant] = {}
    for authorization in ledger.authorizations.list(third_party=third_party):
        if authorization.holds(at):
            grants |= {
                (authorization.office, right): grant
                for right, grant in authorization.grants.items()
            }
    return {f"{office}.{right}": place for (office, right), place in serving.places(grants).items()}


def _bodies(webhook: Webhook, now: Mapping[str, str], at: datetime) -> Iterator[Json]:
    """Yield one notification for each kind of news, naming the offices and rights it is about."""
    before = webhook.told or {}
    changed = [space for space in sorted(now) if _news(before.get(space)) != _news(now[space])]
    regranted = [
        space
        for space in sorted(now.keys() | before.keys())
        if _grant(before.get(space)) != _grant(now.get(space))
    ]
    if webhook.told is not None and regranted:
        yield _body(AUTHORIZATION, regranted, at)
        was = [space for space in regranted if space in before]
        if taken := [space for space in was if not _opens_more(before[space], now.get(space))]:
            yield _body(RETRACTED, taken, at)
    if changed:
        yield _body(CHANGES, changed, at)


def _grant(place: str | None) -> str:
    return "" if place is None else place.partition(" ")[0]


def _news(place: str | None) -> list[str]:
    return [] if place is None else place.split(" ")[:2]


def _opens_more(before: str, now: str | None) -> bool:
    """Tell whether the same records are shared as before, and of each no less.

    What was told before there was a third word may have been anything.
    """
    was, words = before.split(" ")[2:], (now or "").split(" ")[2:]
    if not was or not words:
        return False
    (old, view), (new, same) = was[0].split("/"), words[0].split("/")
    return view == same and not int(old) & ~int(new)


def _body(type_: str, spaces: list[str], at: datetime) -> Json:
    places = [space.split(".") for space in spaces]
    items = [{"officeCode": office, "right": str(Right(right))} for office, right in places]
    return {"type": type_, "timestamp": instant(at), "data": {"items": items}}
