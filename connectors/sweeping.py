"""Removes what killed processes left behind, beside those that are at work.

Only what cannot belong to anybody any more: what is worked on for a delivery that has ended,
and unfinished files that nobody has written to for a day. Landing sweeps itself, because there
a lock tells who lives; the register's unused files are ``vacuum``'s.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from connectors.faults import reach
from connectors.hub import Hub
from connectors.ledger import Upload
from ipregister.deliveries import NEXT

ABANDONED = timedelta(days=1)
"""No step leaves a file alone for so long: the longest, a load of millions, takes minutes."""

SWEEPER = "hub"

LEFTOVERS = (
    "findings/*.unfinished",
    "holds/*.unfinished",
    "exports/*/*." + "[0-9a-f]" * 16,
    "receipts/snapshots/.*",
    "keys/.pepper.*",
    "keys/signing/.*",
    "staging/.spill/*",
    "staging/.rules/*",
    "staging/reprocessing-*",
    "staging/ahead-*",
    "register/.spill/*",
    "register/*/.*/office=*/nothing.[0-9a-f]*[0-9a-f]",
    ".backup-*",
    ".report-*",
    ".serving.sqlite.rebuilt*",
)
"""Where unfinished and spilt files are, seen from the home."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How much was removed: files of interrupted arrivals, of uploads, deliveries' work, the rest.

    ``uploads`` counts announced files nobody finished; ``arrivals`` may have had their bytes.
    """

    arrivals: int
    uploads: int
    deliveries: int
    leftovers: int

    def document(self) -> dict[str, int]:
        """Return the JSON form."""
        return asdict(self)


def sweep(hub: Hub, *, at: datetime, abandoned: timedelta = ABANDONED) -> Swept:
    """Remove what nobody can need any more.

    Args:
        hub: the stores.
        at: now.
        abandoned: how long nobody wrote to an unfinished file that is given up.
    """
    arrivals = hub.landing.sweep(at)
    reach("sweep.landing")
    uploads = sum(_forget(hub, upload, at) for upload in hub.ledger.uploads.overdue(at))
    deliveries = sum(_remove(path) for path in _ended(hub))
    reach("sweep.staging")
    old = (at - abandoned).timestamp()
    found = [path for pattern in LEFTOVERS for path in hub.home.root.glob(pattern)]
    leftovers = sum(
        _remove(path) for path in found if _written(path) <= old and not _is_decided(path)
    )
    return Swept(arrivals, uploads, deliveries, leftovers)


def _forget(hub: Hub, upload: Upload, at: datetime) -> bool:
    """Remove an unfinished upload with its bytes, unless somebody is still sending them."""
    hub.landing.forget_parts(upload.part, ())
    if hub.landing.has_part(upload.part):
        return False
    return hub.ledger.uploads.forget(upload.fileId, at=at, by=SWEEPER)


def _ended(hub: Hub) -> Iterator[Path]:
    """Yield the work of deliveries that no step leads on from, and of finished reversals."""
    ended = {each.deliveryId: each for each in hub.ledger.deliveries.list() if not NEXT[each.state]}
    for path in hub.home.root.glob("staging/*"):
        name, _, is_reversal = path.name.partition("~")
        if (delivery := ended.get(name)) is None:
            continue
        begun = hub.ledger.reversals.unfinished(delivery.office, delivery.right)
        if not is_reversal or name not in {each.deliveryId for each in begun}:
            yield path


def _is_decided(path: Path) -> bool:
    """Tell whether something was decided there and is still to be carried out."""
    return (path / "publication.json").exists()


def _remove(path: Path) -> bool:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return not path.exists()


def _written(path: Path) -> float:
    """Return when something was written last; what has just gone is not old."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
