"""Large files on their way in: who announced what, and what became of it.

The bytes are landing's; an upload is a promise (name, length, SHA-256) that they must keep.
"""

import builtins
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from connectors.ledger import audit
from connectors.ledger.engine import Database
from connectors.ledger.schema import uploads
from ipregister.errors import InvalidRequest, LedgerConflict

MAX_OPEN = 200
"""Unfinished files of one client: more are a program that never finishes any."""

OPEN_FOR = timedelta(days=14)
"""An unfinished file is not gone on with after this long, as landing forgets its bytes."""

KEPT_FOR = OPEN_FOR + timedelta(days=1)
"""By then an address for its bytes, given out on the last day, is long over."""


class UploadState(StrEnum):
    """Where an announced file stands."""

    RECEIVING = "receiving"
    VALIDATED = "validated"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Upload:
    """An announced file: what its sender says it is, and what it turned out to be."""

    fileId: str
    clientId: str
    office: str
    name: str
    sha256: str
    bytes: int
    state: UploadState
    reason: str | None
    announcedAt: datetime

    @property
    def part(self) -> str:
        """Return the name under which landing keeps what is here of the file."""
        return f"upload-{self.fileId}"


class Uploads:
    """Announcing, finding and finishing."""

    def __init__(self, database: Database) -> None:
        """Keep uploads in ``database``."""
        self._database = database

    def announce(
        self, client_id: str, office: str, *, name: str, sha256: str, bytes: int, at: datetime
    ) -> Upload:
        """Return a new upload, or the same client's unfinished one of the same file.

        Raises:
            InvalidRequest: the client has too many unfinished ones.
        """
        c = uploads.c
        unfinished = (
            c.client_id == client_id,
            c.state == UploadState.RECEIVING,
            c.announced_at > at - OPEN_FOR,
        )
        same = (c.name == name, c.sha256 == sha256, c.bytes == bytes)
        with self._database.write() as connection:
            known = connection.scalar(select(c.file_id).where(*unfinished, *same))
            if known is not None:
                return _one(connection, known)
            query = select(func.count()).select_from(uploads).where(*unfinished)
            if (connection.scalar(query) or 0) >= MAX_OPEN:
                raise InvalidRequest(
                    f"This client has {MAX_OPEN} unfinished files; finish some of them first."
                )
            file_id = f"file-{secrets.token_hex(16)}"
            row = {"file_id": file_id, "client_id": client_id, "office": office, "name": name}
            row |= {"sha256": sha256}
            more = {"bytes": bytes, "state": UploadState.RECEIVING, "announced_at": at}
            connection.execute(insert(uploads), row | more)
            after = {"name": name, "sha256": sha256, "bytes": bytes}
            _audit(connection, "announced", file_id, at=at, by=client_id, after=after)
            return _one(connection, file_id)

    def find(self, file_id: str) -> Upload | None:
        """Return an upload, if there is one of this identifier."""
        if "\0" in file_id:  # more than PostgreSQL can look for
            return None
        with self._database.read() as connection:
            row = connection.execute(select(uploads).where(uploads.c.file_id == file_id)).first()
        return None if row is None else _upload(row)

    def find_all(self, file_ids: Collection[str]) -> builtins.list[Upload]:
        """Return the uploads of these identifiers, in their order; unknown ones are left out."""
        found = (self.find(file_id) for file_id in file_ids)
        return [upload for upload in found if upload is not None]

    def finish(
        self, file_id: str, state: UploadState, *, at: datetime, reason: str | None = None
    ) -> Upload:
        """Say what became of an unfinished upload.

        Raises:
            LedgerConflict: somebody else finished it.
        """
        c = uploads.c
        open_one = (c.file_id == file_id, c.state == UploadState.RECEIVING)
        with self._database.write() as connection:
            statement = update(uploads).where(*open_one).values(state=state, reason=reason)
            if connection.execute(statement).rowcount != 1:
                raise LedgerConflict(f"{file_id} is not being received any more")
            upload = _one(connection, file_id)
            after = {"state": state, "reason": reason}
            _audit(connection, state, file_id, at=at, by=upload.clientId, after=after)
            return upload

    def overdue(self, at: datetime) -> builtins.list[Upload]:
        """Return the unfinished uploads nobody can go on with any more."""
        c = uploads.c
        query = select(uploads).where(
            c.state == UploadState.RECEIVING, c.announced_at <= at - KEPT_FOR
        )
        with self._database.read() as connection:
            return [_upload(row) for row in connection.execute(query)]

    def forget(self, file_id: str, *, at: datetime, by: str) -> bool:
        """Delete an unfinished upload; ``False`` when somebody finished it meanwhile."""
        c = uploads.c
        open_one = (c.file_id == file_id, c.state == UploadState.RECEIVING)
        why = f"nobody finished it within {KEPT_FOR.days} days"
        with self._database.write() as connection:
            if connection.execute(delete(uploads).where(*open_one)).rowcount != 1:
                return False
            _audit(connection, "forgotten", file_id, at=at, by=by, after={"reason": why})
            return True


def _one(connection: Connection, file_id: str) -> Upload:
    row = connection.execute(select(uploads).where(uploads.c.file_id == file_id)).one()
    return _upload(row)


def _upload(row: Row[Any]) -> Upload:
    return Upload(
        fileId=row.file_id,
        clientId=row.client_id,
        office=row.office,
        name=row.name,
        sha256=row.sha256,
        bytes=row.bytes,
        state=UploadState(row.state),
        reason=row.reason,
        announcedAt=row.announced_at,
    )


def _audit(
    connection: Connection,
    what: str,
    file_id: str,
    *,
    at: datetime,
    by: str,
    after: Mapping[str, Any],
) -> None:
    audit.append(connection, at=at, by=by, action=f"upload:{what}", subject=file_id, after=after)
