"""Authorizations and the views of the serving store they need, in the right order.

A view is complete before the decision that opens it is written, and goes only when no
decision has needed it for a while. Whoever sets an authorization does so here.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from connectors.ledger import Ledger
from connectors.serving_store import ServingStore, Space
from ipregister.authorizations import Authorization, Decision, Grant
from ipregister.errors import LedgerConflict
from ipregister.profiles import load_profile

UNUSED_VIEWS_STAY = timedelta(days=35)
"""A client that reads the feed once a month is told what to retract; a later one starts again."""


def authorize(
    ledger: Ledger,
    serving: ServingStore,
    *,
    office: str,
    third_party: str,
    decision: Decision,
    clock: Callable[[], datetime],
    by: str,
    expected_version: int | None = None,
) -> Authorization:
    """Let a decision be the authorization from the next request on.

    It is dated when its views are made, which may take a while: what was taken away until then
    is not told to who could not read it yet.

    Raises:
        InvalidRequest: unknown office or third party, or a day in the past.
        LedgerConflict: someone else decided since ``expected_version``.
    """
    if expected_version is not None:
        # Told again under the lock; here it saves making views for nothing.
        present = ledger.authorizations.show(office, third_party)
        if (present.version if present else 0) != expected_version:
            raise LedgerConflict(f"{office} decided about {third_party} meanwhile: look again")
    for right, grant in decision.grants.items():
        if grant.has_view:
            serving.prepare(office, right, grant)
    at = clock()
    # Later than now where the clock was ahead: what went then was never seen either.
    newest = {
        right: serving.newest(office, right, grant) for right, grant in decision.grants.items()
    }
    authorization = ledger.authorizations.decide(
        office,
        third_party,
        decision,
        at=at,
        by=by,
        expected_version=expected_version,
        behind=newest,
    )
    forget_views(ledger, serving, at)
    return authorization


def used_views(ledger: Ledger, at: datetime) -> Iterator[tuple[Space, Grant]]:
    """Yield the views that present authorizations need, until their last day."""
    for authorization in ledger.authorizations.list():
        until = authorization.decision.validUntil
        if until is not None and until < load_profile(authorization.office).day_of(at):
            continue
        for right, grant in authorization.grants.items():
            if grant.has_view:
                yield (authorization.office, right), grant


def prepare_views(ledger: Ledger, serving: ServingStore, at: datetime) -> None:
    """Make the views that authorizations need and the store lacks, as when it is new."""
    for (office, right), grant in used_views(ledger, at):
        serving.prepare(office, right, grant)


def forget_views(ledger: Ledger, serving: ServingStore, at: datetime) -> int:
    """Remove views that no authorization has needed for a while; return how many."""
    return serving.forget_unused(used_views(ledger, at), at, UNUSED_VIEWS_STAY)
