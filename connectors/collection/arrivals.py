"""What one pass over an office's folders saw and brought; values, no decisions on records.

How the pass is made is ``collector``; which files belong together is ``grouping``.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from connectors.collection import sidecars
from connectors.collection.grouping import Group, Plan, name_in_lane, speaks_of
from connectors.ledger.contacts import Contact
from connectors.ledger.observations import Observation
from connectors.ledger.records import Delivery
from connectors.sftp.files import RemoteFile
from connectors.sftp.listing import Problem
from ipregister.errors import OfficeUnreachable
from ipregister.folders import FolderVisit, NotTaken
from ipregister.instants import instant

UNFINISHED_FOR = timedelta(hours=1)
"""How long an unchanged temporary file still counts as an upload under way."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Files that are not taken yet; ``seconds`` until they may be, where that is known.

    ``files`` are paths in the office's folder.
    """

    files: tuple[str, ...]
    reason: str
    seconds: float | None = None


@dataclass(slots=True)
class CollectReport:
    """What one pass over an office brought.

    ``deliveries`` are those recorded, completed or still incomplete; ``error`` is why the
    office could not be collected, or not to the end; ``received`` counts bytes; ``contact`` is
    what is remembered of the office's server, ``visited`` whether it was tried at all;
    ``folder`` is what was left there.
    """

    office: str
    deliveries: list[Delivery] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    quarantined: list[Problem] = field(default_factory=list)
    error: str | None = None
    received: int = 0
    lost: OfficeUnreachable | None = None
    contact: Contact | None = None
    visited: bool = True
    folder: FolderVisit | None = None

    def add(self, found: Waiting | Problem) -> None:
        """Report what is not taken, now or at all."""
        if isinstance(found, Waiting):
            self.waiting.append(found)
        else:
            self.quarantined.append(found)

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        contact = self.contact or Contact(self.office)
        since, again = contact.failingSince, contact.nextAttemptAt
        return {
            "office": self.office,
            "deliveries": [delivery.document() for delivery in self.deliveries],
            "waiting": [{"files": list(w.files), "reason": w.reason} for w in self.waiting],
            "quarantined": [{"path": p.path, "reason": p.reason} for p in self.quarantined],
            "error": self.error,
            "visited": self.visited,
            "failingSince": instant(since) if since else None,
            "failures": contact.failures,
            "nextAttemptAt": instant(again) if again else None,
        }

    def left(self, known: Mapping[str, Observation], at: datetime) -> FolderVisit:
        """Return what its office is told of the files that are not taken."""
        found = [
            NotTaken(path, waiting.reason, waits=True, since=known[path].firstSeenAt)
            for waiting in self.waiting
            for path in waiting.files
        ]
        for problem in self.quarantined:
            seen = known.get(problem.file.path) if problem.file else None
            since = seen.firstSeenAt if seen else None
            found.append(NotTaken(problem.path, problem.reason, waits=False, since=since))
        return FolderVisit.of(self.office, at, found)

    @property
    def wait_seconds(self) -> float:
        """Return how long until everything that only waits for quiet may be taken."""
        return max((waiting.seconds or 0.0 for waiting in self.waiting), default=0.0)

    def after(self, before: "CollectReport") -> "CollectReport":
        """Return this report with what an earlier one of the same office brought."""
        again = {delivery.deliveryId for delivery in self.deliveries}
        kept = [delivery for delivery in before.deliveries if delivery.deliveryId not in again]
        return replace(
            self,
            deliveries=[*kept, *self.deliveries],
            received=before.received + self.received,
        )


@dataclass(slots=True)
class Fetched:
    """Digests by path of members, text by path of checksum files and manifests, failures.

    ``received`` counts bytes; ``stopped`` is why the rest was not fetched, ``lost`` the lost
    connection where it was that.
    """

    digests: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    received: int = 0
    stopped: str | None = None
    lost: OfficeUnreachable | None = None

    def blocks(self, group: Group) -> str | None:
        """Return why a group cannot be judged in this pass."""
        for file in needed(group):
            if file.path in self.failures:
                return self.failures[file.path]
            is_here = file.path in self.digests or file.path in self.texts
            comes = file.size <= sidecars.MAX_BYTES or file in group.members
            if self.stopped is not None and not is_here and comes:
                return f"{name_in_lane(file)} is not here yet: {self.stopped}"
        names = [member.path.rpartition("/")[2] for member in group.members]
        for marker in group.markers:
            if lacking := sidecars.missing(self.texts.get(marker.path, ""), names):
                return (
                    f"{name_in_lane(marker)} names files that are not there: {', '.join(lacking)}"
                )
        return None

    def digest_for(self, group: Group, member: RemoteFile) -> str | None:
        """Return what the office says is the digest of a member, if it does."""
        if sidecar := group.sidecars.get(member.path):
            return sidecars.digest_in(self.texts.get(sidecar.path, ""))
        name = member.path.rpartition("/")[2].casefold()
        for marker in group.markers:
            if digest := sidecars.promised(self.texts.get(marker.path, "")).get(name):
                return digest
        return None


def needed(group: Group) -> Iterator[RemoteFile]:
    """Yield the files of a group that are fetched."""
    yield from group.members
    yield from group.sidecars.values()
    yield from group.markers


def not_yet(
    group: Group, known: Mapping[str, Observation], at: datetime, quiet_seconds: float
) -> Waiting | None:
    """Return why a group is left for a later pass; ``None`` when it may be taken.

    Quiet is measured from our own first sight of each file as it is now; the server's times
    may be preserved ones, years old.
    """
    names = tuple(member.path for member in group.members)
    under_way = [f for f in group.unfinished if _is_under_way(f, known, at)]
    if under_way:
        return Waiting(names, _under_way(under_way[0]))
    newest = max(member.mtime for member in group.members)
    # A marker older than its files speaks of an earlier delivery.
    if any(marker.mtime >= newest for marker in group.markers):
        return None
    changed = max(known[file.path].firstSeenAt for file in needed(group))
    left = quiet_seconds - (at - changed).total_seconds()
    if left > 0:
        reason = f"changed lately; taken after {quiet_seconds:g} s without change"
        return Waiting(names, reason, left)
    return None


def lone_upload(
    upload: RemoteFile, known: Mapping[str, Observation], at: datetime
) -> Waiting | Problem:
    """Return what is said of an upload under way of which nothing else is there.

    One that has not grown for ``UNFINISHED_FOR`` has died, and its office thinks it is here.
    """
    if _is_under_way(upload, known, at):
        return Waiting((upload.path,), _under_way(upload))
    reason = "its upload ended halfway: upload the file again, and delete this one"
    return Problem(upload.path, reason, upload)


def lone_promises(
    plan: Plan, known: Mapping[str, Observation], at: datetime
) -> Iterator[Waiting | Problem]:
    """Yield what is said of checksum files and markers whose own file is not there.

    That file may still come, as some uploaders send it last. Where it came, and was removed
    after it was taken, there is nothing to say.
    """
    if not plan.alone:
        return
    there = {member.path for group in plan.groups for member in group.members}
    there.update(path for path, seen in known.items() if seen.deliveryId)
    paths = sorted(path.casefold() for path in there)
    for file in plan.alone:
        stem = speaks_of(file)
        # x.zip.md5 is for x.zip, x.md5 too; a marker without a name is for all of its folder.
        if _has(paths, stem) or (not stem.endswith("/") and _has(paths, f"{stem}.")):
            continue
        if _is_under_way(file, known, at):
            yield Waiting(
                (file.path,), f"the file that {name_in_lane(file)} is for is not here yet"
            )
        else:
            reason = (
                "the file it is for, by its name, never came: upload that one, or remove this one"
            )
            yield Problem(file.path, reason, file)


def _has(paths: Sequence[str], begin: str) -> bool:
    """Tell whether one of sorted paths is, or in a folder or before a dot begins with, a text."""
    place = bisect_left(paths, begin)
    if place == len(paths):
        return False
    return paths[place] == begin or (begin[-1] in "./" and paths[place].startswith(begin))


def _is_under_way(upload: RemoteFile, known: Mapping[str, Observation], at: datetime) -> bool:
    """Tell whether an upload has gone on within ``UNFINISHED_FOR``."""
    return at - known[upload.path].firstSeenAt < UNFINISHED_FOR


def _under_way(upload: RemoteFile) -> str:
    return f"{name_in_lane(upload)} is still being uploaded"
