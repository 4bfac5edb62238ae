"""Bring the files of the groups that are due into landing, in one go over one connection.

Small files come whole or are read again; a large one goes on where it stopped, after a lost
connection, at the next pass or after a crash. What a group is worth is ``collector``'s to say.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

from connectors.arriving import Arriving, Readable
from connectors.collection import sidecars
from connectors.collection.arrivals import Fetched, needed
from connectors.collection.grouping import Group
from connectors.collection.pacing import Budget, Paced, Patience
from connectors.landing import Landed, Landing
from connectors.ledger.observations import Listed, Observation, Observations
from connectors.sftp.files import RemoteFile
from connectors.sftp.listing import Listing
from ipregister.errors import IncompleteDelivery, OfficeRefused, OfficeUnreachable, OutOfTime

RESUMABLE_BYTES = 256 << 10
"""From here on a part is kept: with a minute per pass, a line of 5 kB/s still brings the rest."""

NOTED_EVERY_FILES = 100
"""Small files a crash costs at most; a transaction for each would take longer than fetching it."""


class Source(Protocol):
    """Where the offices' files are; ``connectors.sftp.source`` is the real one."""

    def list(self, office: str) -> Listing:
        """Return every file of one office."""

    def fetch(
        self, office: str, files: Sequence[RemoteFile], starts: Mapping[str, int]
    ) -> Iterator[Readable]:
        """Yield one stream per file, in order; from a byte of ``starts`` on where it is there."""


class Fetcher:
    """Fetches for one office and one pass.

    Args:
        office: ST.3 code.
        landing: keeps the bytes.
        observations: are told the digests.
        patience: how slow the server may be.
        budget: the time there is.
    """

    def __init__(
        self,
        office: str,
        landing: Landing,
        observations: Observations,
        patience: Patience,
        budget: Budget,
    ) -> None:
        self._office = office
        self._landing = landing
        self._observations = observations
        self._patience = patience
        self._budget = budget
        self._fetched = Fetched()
        self._parts: dict[str, Arriving] = {}
        self._unnoted: dict[Listed, str] = {}

    def bring(
        self, source: Source, groups: Sequence[Group], known: Mapping[str, Observation]
    ) -> Fetched:
        """Bring the members we do not have, and the words of checksum files and manifests.

        Small groups come first, so that an update is not held up by a full extraction that
        takes several passes. A lost connection ends the fetching and is noted, not raised:
        groups that are whole by then are taken.
        """
        members = {member.path for group in groups for member in group.members}
        wanted = self._wanted(groups, members, known)
        with ExitStack() as held:
            wanted = [file for file in wanted if self._prepare(file, members, held)]
            starts = {path: part.resumes_at for path, part in self._parts.items()}
            streams = source.fetch(self._office, wanted, starts)
            try:
                for file, stream in zip(wanted, streams, strict=True):
                    self._take(file, Paced(stream, self._budget, self._patience), members)
            except OutOfTime as exc:
                self._fetched.stopped = exc.detail
            except OfficeUnreachable as exc:
                self._fetched.stopped, self._fetched.lost = exc.detail, exc
            finally:
                self._note_digests()
        return self._fetched

    def _wanted(
        self, groups: Sequence[Group], members: set[str], known: Mapping[str, Observation]
    ) -> list[RemoteFile]:
        wanted: dict[str, RemoteFile] = {}
        for group in sorted(groups, key=lambda group: sum(file.size for file in needed(group))):
            for file in needed(group):
                sha256 = known[file.path].sha256
                if file.path in members and sha256 is not None and self._landing.has(sha256):
                    self._fetched.digests[file.path] = sha256
                elif file.path in members or file.size <= sidecars.MAX_BYTES:
                    wanted[file.path] = file
        large = [key(self._office, file) for file in wanted.values() if _is_resumable(file)]
        self._landing.forget_parts(f"{self._office}-", large)
        return list(wanted.values())

    def _prepare(self, file: RemoteFile, members: set[str], held: ExitStack) -> bool:
        """Take up the part of a large file where one is here; tell whether to fetch the file."""
        name = key(self._office, file)
        if file.path not in members or not self._landing.has_part(name):
            return True
        try:
            self._parts[file.path] = held.enter_context(self._landing.arriving(name))
        except IncompleteDelivery as exc:
            self._fetched.failures[file.path] = exc.detail
            return False
        return True

    def _take(self, file: RemoteFile, stream: Paced, members: set[str]) -> None:
        """Read one file to its end; trouble with this file alone is noted."""
        try:
            if file.path not in members:
                self._fetched.texts[file.path] = _text(stream)
                return
            landed = self._land(file, stream)
            self._fetched.digests[file.path] = self._unnoted[file.listed] = landed.sha256
            if _is_resumable(file) or len(self._unnoted) >= NOTED_EVERY_FILES:
                self._note_digests()
        except (IncompleteDelivery, OfficeRefused) as exc:
            self._fetched.failures[file.path] = exc.detail
        finally:
            self._fetched.received += stream.received

    def _note_digests(self) -> None:
        """Tell the ledger what is here, so that nobody fetches it again."""
        unnoted, self._unnoted = self._unnoted, {}
        if unnoted:
            self._observations.set_digests(self._office, unnoted)

    def _land(self, file: RemoteFile, stream: Readable) -> Landed:
        if (part := self._parts.get(file.path)) is not None:
            return self._landing.go_on(stream, part)
        if not _is_resumable(file):
            return self._landing.put(stream)
        with self._landing.arriving(key(self._office, file)) as part:
            return self._landing.go_on(stream, part)


def key(office: str, file: RemoteFile) -> str:
    """Return the name under which the part of a file is kept: another version has another."""
    version = f"{file.size} {file.mtime} {file.path}".encode("utf-8", "surrogateescape")
    return f"{office}-{hashlib.sha256(version).hexdigest()[:40]}"


def _is_resumable(file: RemoteFile) -> bool:
    return file.size >= RESUMABLE_BYTES


def _text(stream: Readable) -> str:
    return b"".join(iter(lambda: stream.read(sidecars.MAX_BYTES), b"")).decode("utf-8", "replace")
