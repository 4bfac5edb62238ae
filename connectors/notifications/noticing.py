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
from ipregister.authorizations import NOTHING, Grant
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
        between = _between(ledger, client.thirdParty, webhook.told or {}, now)
        bodies = list(_bodies(webhook, now, at, between))
        if ledger.webhooks.tell(webhook, now, bodies, at=at):
            queued += len(bodies)
    return queued


def _state(ledger: Ledger, serving: ServingStore, third_party: str, at: datetime) -> dict[str, str]:
    """Return what a third party could know of each space: its grant, and how far the feed is.

    Behind it the version of the authorization, for ``_between``.
    """
    grants: dict[Space, Grant] = {}
    versions: dict[str, int] = {}
    for authorization in ledger.authorizations.list(third_party=third_party):
        if authorization.holds(at):
            versions[authorization.office] = authorization.version
            grants |= {
                (authorization.office, right): grant
                for right, grant in authorization.grants.items()
            }
    return {
        f"{office}.{right}": f"{place} {versions[office]}"
        for (office, right), place in serving.places(grants).items()
    }


def _between(
    ledger: Ledger, third_party: str, before: Mapping[str, str], now: Mapping[str, str]
) -> dict[str, bool]:
    """Return where it was shared otherwise between what was told and now: did that open more?

    Who read meanwhile has less than it may have, or more, also where all is as it was told.
    """
    found: dict[str, bool] = {}
    for space in before.keys() & now.keys():
        was, words = before[space].split(" ")[3:], now[space].split(" ")[3:]
        if was in ([], words):  # told before there was this word, or the same version
            continue
        (office, right), first, last = space.split("."), int(was[0]), int(words[0])
        *others, present = [
            each.grants.get(Right(right), NOTHING)
            for each in ledger.authorizations.history(office, third_party)
            if first < each.version <= last
        ]
        if any(not grant.covers(present) or not present.covers(grant) for grant in others):
            found[space] = not all(present.covers(grant) for grant in others)
    return found


def _bodies(
    webhook: Webhook, now: Mapping[str, str], at: datetime, between: Mapping[str, bool]
) -> Iterator[Json]:
    """Yield one notification for each kind of news, naming the offices and rights it is about."""
    before = webhook.told or {}
    changed = [
        space
        for space in sorted(now)
        if space in between or _news(before.get(space)) != _news(now[space])
    ]
    regranted = [
        space
        for space in sorted(now.keys() | before.keys())
        if space in between or _grant(before.get(space)) != _grant(now.get(space))
    ]
    if webhook.told is not None and regranted:
        yield _body(AUTHORIZATION, regranted, at)
        was = [space for space in regranted if space in before]
        if taken := [
            space
            for space in was
            if between.get(space) or not _opens_more(before[space], now.get(space))
        ]:
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
