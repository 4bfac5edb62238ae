"""Every answer with records is written down before it leaves; a route that forgets is a defect.

What an office may ask of it is ``receipts``.
"""

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from api.service import Service
from api.streams import goes_without_body
from connectors.ledger import Access
from connectors.ledger.columns import microseconds
from connectors.receipts.journal import Receipt, Route, cursor_digest
from connectors.serving.feed_page import Told
from connectors.serving.rows import Space, mask_of

NOWHERE: Space = ("", "")  # type: ignore[assignment]  # no office asks for it
"""Where a receipt belongs that is about no record."""


def note(
    request: Request,
    service: Service,
    access: Access,
    route: Route,
    space: Space,
    records: Sequence[str] = (),
    *,
    snapshot: str = "",
) -> None:
    """Write down that a third party gets records of one office and right.

    Who asks by HEAD how long a file is has read nothing of it.

    Raises:
        StoreError: it cannot be written down; the answer must not be given.
    """
    if records or (snapshot and not goes_without_body(request.scope)):
        service.receipts.append(
            _receipt(request, service, access, route, space, records, (), snapshot=snapshot)
        )


def note_changes(
    request: Request,
    service: Service,
    access: Access,
    told: Mapping[Space, Told],
    *,
    came_with: str,
    left_with: str,
) -> None:
    """Write down what a page of the feed gave and took back, one receipt per office and right.

    A reader that comes back with a cursor has done what the page before it said. That is worth
    a receipt also where nothing has happened since.

    Raises:
        StoreError: as for ``note``.
    """
    if came_with and not told:
        told = {NOWHERE: Told([], [])}
    cursors = cursor_digest(came_with), cursor_digest(left_with)
    about = (request, service, access, Route.CHANGES)
    service.receipts.append(
        *(_receipt(*about, space, *both, cursors=cursors) for space, both in told.items())
    )


def _receipt(
    request: Request,
    service: Service,
    access: Access,
    route: Route,
    space: Space,
    records: Sequence[str],
    retracted: Sequence[str],
    *,
    snapshot: str = "",
    cursors: tuple[bytes, bytes] = (b"", b""),
) -> Receipt:
    office, right = space
    grant = access.grants.get(space)
    return Receipt(
        microseconds(service.clock()),
        request.scope.get("receiptId", ""),
        access.clientId,
        access.thirdParty or "",
        office,
        right,
        route,
        access.versions.get(office, 0),
        mask_of(grant.allowed) if grant else 0,
        records,
        retracted,
        snapshot,
        *cursors,
    )
