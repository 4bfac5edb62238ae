"""Handing in a delivery whose files are in landing: one way for the API and local files.

What comes by SFTP has to be put together first (``collection``) and is recorded there.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import PurePosixPath

from connectors.ledger import Channel, DeliveredFile, Delivery, Ledger
from connectors.ledger.idempotency import Once
from ipregister.deliveries import Kind
from ipregister.errors import InvalidRequest
from ipregister.model import Right
from ipregister.profiles import load_profile


@dataclass(frozen=True, slots=True)
class Package:
    """Files that are handed in as ONE delivery, in their sender's order."""

    office: str
    right: Right
    kind: Kind
    channel: Channel
    files: tuple[DeliveredFile, ...]

    def digest(self) -> str:
        """Return the SHA-256 (hex) of everything that makes this the same request again."""
        what = [self.office, self.right, self.kind, [astuple(file) for file in self.files]]
        return sha256(json.dumps(what).encode()).hexdigest()


def check_lane(office: str, right: Right) -> None:
    """Refuse what the hub could not read, before a byte of it is taken.

    Raises:
        InvalidRequest: the hub has no format for this right of this office.
    """
    known = load_profile(office).rights
    if right not in known:
        raise InvalidRequest(
            f"The hub has no format for {right} of {office}; it has {', '.join(sorted(known))}. "
            "Ask the hub's operators to add one.",
            office=office,
        )


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return the names of a delivery's files, each only once.

    Findings and lineage say by its name in which file something stands. Of files from several
    folders with one name the second is called ``x (2).zip``.
    """
    told: dict[str, None] = {}
    numbers: Counter[str] = Counter()
    for name in names:
        path, distinct = PurePosixPath(name), name
        while distinct in told:
            numbers[name] += 1
            distinct = str(path.with_name(f"{path.stem} ({numbers[name] + 1}){path.suffix}"))
        told[distinct] = None
    return list(told)


def submit(
    ledger: Ledger,
    package: Package,
    *,
    at: datetime,
    by: str,
    client_id: str | None = None,
    key: str | None = None,
) -> Delivery:
    """Record a delivery; Dagster takes it from there.

    Args:
        ledger: where.
        package: what, with its files in landing.
        at: instant of arrival (UTC).
        by: the account or client it came from.
        client_id: whose key it is, and
        key: the sender's word that it is the same request as before, if it gave one.

    Returns:
        The delivery; with a known key that of the first request, as it is now.

    Raises:
        KeyReused: the key came before with another package.
    """
    once = None if key is None or client_id is None else Once(client_id, key, package.digest())
    names = distinct_names([file.name for file in package.files])
    return ledger.deliveries.record(
        package.office,
        package.right,
        package.kind,
        package.channel,
        tuple(replace(file, name=name) for file, name in zip(package.files, names, strict=True)),
        at=at,
        by=by,
        once=once,
    )
