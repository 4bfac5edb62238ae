"""How the last attempts to collect at each office ended: since when it fails, when to try again.

One row per office, overwritten: memory of the outside world, not a decision, so it has no
audit rows. What failed with a mistyped server or key keeps nobody from the right one. How long an
office is left alone is ``connectors/collection/backoff.py``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import delete, insert, select, update

from connectors.ledger.engine import Database
from connectors.ledger.schema import contacts
from ipregister.folders import FolderVisit

ALARM_AFTER = timedelta(hours=24)
"""A daily update that fails for a day was missed; a person must look (S-11)."""

LONGEST = timedelta(days=1)
"""No office is left alone for longer: a later instant was noted while our clock was wrong."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One office's server as it was last; ``failures`` in a row, 0 when all is well.

    ``refused``: the server's host key or our login was refused, which only a person can mend.
    ``server``: which one, with which keys; of a row without one it is not known. ``folder`` is
    what the last visit left there.
    """

    office: str
    succeededAt: datetime | None = None
    failingSince: datetime | None = None
    failures: int = 0
    nextAttemptAt: datetime | None = None
    refused: bool = False
    reason: str | None = None
    server: str | None = None
    folder: FolderVisit | None = None

    def is_due(self, at: datetime) -> bool:
        """Tell whether the office may be tried again."""
        return self.nextAttemptAt is None or not at < self.nextAttemptAt <= at + LONGEST

    def asked_of(self, server: str | None) -> Self:
        """Return what counts for a server: of another one no failure does."""
        if self.server in (None, server):
            return self
        return replace(self, failures=0, nextAttemptAt=None, refused=False)

    def needs_person(self, at: datetime) -> bool:
        """Tell whether somebody must look: refused, or failing for a day."""
        failing = self.failingSince is not None and at - self.failingSince >= ALARM_AFTER
        return self.refused or failing


class Contacts:
    """The contacts of all offices."""

    def __init__(self, database: Database) -> None:
        """Keep contacts in ``database``."""
        self._database = database

    def get(self, office: str) -> Contact:
        """Return an office's contact; an empty one where nothing was tried yet."""
        with self._database.read() as connection:
            row = connection.execute(_select().where(contacts.c.office == office)).first()
        return _contact(row) if row is not None else Contact(office)

    def all(self) -> list[Contact]:
        """Return the contact of every office that was tried, in alphabetical order."""
        with self._database.read() as connection:
            rows = connection.execute(_select().order_by(contacts.c.office))
            return [_contact(row) for row in rows]

    def succeeded(
        self,
        office: str,
        at: datetime,
        server: str | None = None,
        folder: FolderVisit | None = None,
    ) -> Contact:
        """Note that an office was collected; what failed before is forgotten."""
        contact = Contact(office, succeededAt=at, server=server, folder=folder)
        self._put(contact)
        return contact

    def failed(
        self,
        office: str,
        at: datetime,
        *,
        reason: str,
        refused: bool,
        pause: Callable[[int], timedelta],
        progressed: bool = False,
        server: str | None = None,
    ) -> Contact:
        """Note that an attempt failed, and when the next may be made.

        Args:
            office: ST.3 code.
            at: instant of the failure.
            reason: what a person should know.
            refused: host key or login.
            pause: how long to wait after so many failures in a row.
            progressed: something came before it failed, so this failure is the first.
            server: which one, with which keys.
        """
        before = self.get(office).asked_of(server)
        failures = 1 if progressed else before.failures + 1
        contact = Contact(
            office,
            succeededAt=before.succeededAt,
            failingSince=at if progressed else before.failingSince or at,
            failures=failures,
            nextAttemptAt=at + pause(failures),
            refused=refused,
            reason=reason,
            server=server,
            folder=before.folder,
        )
        self._put(contact)
        return contact

    def forget(self, office: str) -> None:
        """Forget an office that has no folder any more and never had one we read."""
        with self._database.write() as connection:
            connection.execute(delete(contacts).where(contacts.c.office == office))

    def _put(self, contact: Contact) -> None:
        c = contacts.c
        values = {
            c.succeeded_at: contact.succeededAt,
            c.failing_since: contact.failingSince,
            c.failures: contact.failures,
            c.next_attempt_at: contact.nextAttemptAt,
            c.refused: contact.refused,
            c.reason: contact.reason,
            c.server: contact.server,
            c.folder: contact.folder and contact.folder.document(),
        }
        with self._database.write() as connection:
            mine = update(contacts).where(c.office == contact.office).values(values)
            if not connection.execute(mine).rowcount:
                connection.execute(insert(contacts).values(values | {c.office: contact.office}))


def _select() -> Any:
    c = contacts.c
    return select(
        c.office,
        c.succeeded_at,
        c.failing_since,
        c.failures,
        c.next_attempt_at,
        c.refused,
        c.reason,
        c.server,
        c.folder,
    )


def _contact(row: Sequence[Any]) -> Contact:
    *told, folder = row
    return replace(Contact(*told), folder=folder and FolderVisit.from_document(folder))
