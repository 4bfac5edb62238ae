"""One SFTP server as a source of deliveries: whose folders it holds, what is in them.

Paths are relative to an office's folder from here on (``Trademarks/Updates/x.zip``), so
that the same tree under another root is the same tree. What the files mean is
``connectors/collection/grouping.py``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from connectors.sftp.downloads import fetch
from connectors.sftp.files import Download, RemoteFile
from connectors.sftp.listing import Listing, Problem, folder_names, real_path, walk
from connectors.sftp.protocol import Wire
from connectors.sftp.session import Address, Login, connect
from ipregister.errors import IncompleteDelivery, OfficeRefused

_OFFICE_FOLDER = re.compile(r"ipob_([a-z]{2})", re.IGNORECASE)


class SftpSource:
    """The offices' folders on one server, over one connection. One caller at a time."""

    def __init__(self, wire: Wire, folder: str | None) -> None:
        """Find the offices' folders: below ``folder``, the login's own folder, or the top."""
        self._wire = wire
        self._others: dict[str, list[Problem]] = {}
        self._folders = self._discover(folder)

    def offices(self) -> Sequence[str]:
        """Return the ST.3 codes of the offices with a folder here, in alphabetical order."""
        return sorted(self._folders)

    def list(self, office: str) -> Listing:
        """Return every file of one office, paths relative to its folder.

        Raises:
            OfficeRefused: there is no folder for this office, or we may not list it.
            OfficeUnreachable: the connection was lost.
        """
        root = self._root(office)
        found = walk(self._wire, root)
        skip = len(root.rstrip("/")) + 1
        return Listing(
            [replace(file, path=file.path[skip:]) for file in found.files],
            [Problem(problem.path[skip:], problem.reason) for problem in found.problems]
            + self._others.get(office, []),
        )

    def fetch(
        self,
        office: str,
        files: Sequence[RemoteFile],
        starts: Mapping[str, int] = MappingProxyType({}),
    ) -> Iterator[Download]:
        """Yield a download per file, in order; read each before taking the next.

        Args:
            office: whose files.
            files: as a listing saw them.
            starts: by path, the byte at which a file goes on that was interrupted before.

        The digest is left to the landing zone, which computes one anyway.
        """
        root = self._root(office).rstrip("/")
        remote = [replace(file, path=f"{root}/{file.path}") for file in files]
        there = {f"{root}/{path}": start for path, start in starts.items()}
        return fetch(self._wire, remote, starts=there, hashed=False)

    def _root(self, office: str) -> str:
        try:
            return self._folders[office]
        except KeyError:
            raise OfficeRefused(
                f"the server has no folder ipob_{office.lower()}", office=office
            ) from None

    def _discover(self, folder: str | None) -> dict[str, str]:
        """Return the office folders of the first place that has any."""
        for place in [folder] if folder else [".", "/"]:
            try:
                top = real_path(self._wire, place)
                if own := _OFFICE_FOLDER.fullmatch(top.rpartition("/")[2]):
                    return {own[1].upper(): top}
                names = folder_names(self._wire, top)
            except (IncompleteDelivery, OfficeRefused):
                if folder:
                    raise OfficeRefused(f"the server has no folder {folder!r}") from None
                continue
            if found := self._one_each(names):
                return {office: f"{top.rstrip('/')}/{name}" for office, name in found.items()}
        return {}

    def _one_each(self, names: Sequence[str]) -> dict[str, str]:
        """Return each office's folder; others of its name in other letters are told, not read."""
        found: dict[str, str] = {}
        # The agreed spelling, in small letters, sorts last.
        for name in sorted(names, reverse=True):
            if (match := _OFFICE_FOLDER.fullmatch(name)) is None:
                continue
            read = found.setdefault(match[1].upper(), name)
            if read != name:
                reason = f"this office's folder is {read}; move what is in here there"
                self._others.setdefault(match[1].upper(), []).append(Problem(f"../{name}", reason))
        return found


@contextmanager
def open_source(
    address: Address,
    login: Login,
    *,
    known_hosts: Path,
    timeout_seconds: float = 60.0,
    budget_seconds: float | None = None,
) -> Iterator[SftpSource]:
    """Connect and find the offices' folders; raises as :func:`session.connect` does."""
    with connect(
        address,
        login,
        known_hosts=known_hosts,
        timeout_seconds=timeout_seconds,
        budget_seconds=budget_seconds,
    ) as wire:
        yield SftpSource(wire, address.folder)
