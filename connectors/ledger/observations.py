"""What was seen on the offices' SFTP servers, so that only news is fetched.

One row per path with the size and time it had last; another size or time is a new
observation. This is memory of the outside world, not a decision, so it has no audit rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from connectors.ledger.engine import Database
from connectors.ledger.schema import observations

Listed = tuple[str, int, int]
"""A file as a listing saw it: path, bytes, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A file as it was listed last: bytes, seconds since 1970, and what we did with it."""

    size: int
    mtime: int
    firstSeenAt: datetime
    sha256: str | None = None
    deliveryId: str | None = None


class Observations:
    """The listing memory, per office and path.

    What is noted of a file is noted of it as it was listed: another process may have seen the
    next version since, of which nothing was taken.
    """

    def __init__(self, database: Database) -> None:
        """Keep observations in ``database``."""
        self._database = database

    def see_all(self, office: str, files: Iterable[Listed], at: datetime) -> Mapping[str, datetime]:
        """Note a listing in one transaction; return first sights by path.

        A file that changed is forgotten as it was: no digest, no delivery.
        """
        seen: dict[str, datetime] = {}
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        with self._database.write() as connection:
            known = _known(connection.execute(_select(office)))
            for path, size, mtime in files:
                before = known.get(path)
                if before is not None and (before.size, before.mtime) == (size, mtime):
                    seen[path] = before.firstSeenAt
                    continue
                seen[path] = at
                row = {"office": office, "path": path, "size": size, "mtime": mtime}
                row |= {"first_seen_at": at, "sha256": None, "delivery_id": None}
                (new if before is None else changed).append(row)
            if new:
                connection.execute(insert(observations), new)
            for row in changed:
                statement = update(observations).where(observations.c.office == office)
                connection.execute(statement.where(observations.c.path == row["path"]).values(row))
        return seen

    def set_digests(self, office: str, digests: Mapping[Listed, str]) -> None:
        """Note what the bytes of several files were, in one transaction."""
        rows = [_of(file) | {"is_sha256": sha256} for file, sha256 in digests.items()]
        self._update(office, {"sha256": bindparam("is_sha256")}, rows)

    def set_delivery(self, office: str, files: Iterable[Listed], delivery_id: str) -> None:
        """Note the delivery that files became part of."""
        self._update(office, {"delivery_id": delivery_id}, [_of(file) for file in files])

    def known(self, office: str) -> dict[str, Observation]:
        """Return everything seen at one office, by path."""
        with self._database.read() as connection:
            return _known(connection.execute(_select(office)))

    def _update(
        self, office: str, values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write to the row of each file; one statement, or 100,000 files take minutes."""
        c = observations.c
        mine = update(observations).where(
            c.office == office,
            c.path == bindparam("of_path"),
            c.size == bindparam("of_size"),
            c.mtime == bindparam("of_mtime"),
        )
        if rows:
            with self._database.write() as connection:
                connection.execute(mine.values(values), rows)


def _of(file: Listed) -> dict[str, Any]:
    return dict(zip(("of_path", "of_size", "of_mtime"), file, strict=True))


def _select(office: str) -> Any:
    c = observations.c
    return select(c.path, c.size, c.mtime, c.first_seen_at, c.sha256, c.delivery_id).where(
        c.office == office
    )


def _known(rows: Iterable[Any]) -> dict[str, Observation]:
    return {path: Observation(*rest) for path, *rest in rows}
