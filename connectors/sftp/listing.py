"""List folders over one SFTP channel, many at a time.

A walk keeps up to 64 folders in flight, so a tree costs round trips by its depth, not by its
number of folders. Links are reported and never followed: a link into another office's
folder would be that office's data. What the files mean is ``connectors/collection/grouping.py``.
"""

import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.sftp.files import RemoteFile
from connectors.sftp.packets import (
    Attributes,
    Op,
    Payload,
    Reader,
    Status,
    raise_for_status,
    text,
)
from connectors.sftp.protocol import Wire
from ipregister.errors import ExchangeError, IncompleteDelivery, OfficeRefused

FOLDERS_IN_FLIGHT = 64

PAGES_IN_FLIGHT = 2
"""OpenSSH gives 100 names a page: the second request brings the end of a common folder."""

MAX_DEPTH = 32
MAX_ENTRIES = 2_000_000
"""An office folder of 100,000 files is large; a server that goes on for ever must not fill us."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the tree that was not taken, and why; ``file`` where it is a file."""

    path: str
    reason: str
    file: RemoteFile | None = None


@dataclass(slots=True)
class Listing:
    """What a walk found: regular files, and what it left alone."""

    files: list[RemoteFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Folder:
    path: str
    depth: int
    handle: bytes = b""
    pages: int = 0
    finished: bool = False


def real_path(wire: Wire, path: str) -> str:
    """Return the server's absolute spelling of a path; ``.`` is where the login begins.

    Raises:
        OfficeRefused: the server does not resolve it.
    """
    wire.request(Op.REALPATH, text(path))
    op, _, payload = wire.receive()
    if op != Op.NAME:
        raise_for_status(payload, path)
        raise OfficeRefused(f"the server does not say where {path!r} is")
    reader = Reader(payload)
    reader.u32()
    return reader.path()


def folder_names(wire: Wire, path: str) -> list[str]:
    """Return the names of the folders directly in ``path``, in alphabetical order.

    Raises:
        IncompleteDelivery: there is no such folder.
        OfficeRefused: the server does not let us list it.
    """
    walk = _Walk(wire, max_depth=0)
    walk.run([path])
    if walk.refused is not None:
        raise walk.refused
    return sorted(found.path.rpartition("/")[2] for found in walk.below)


def walk(wire: Wire, root: str) -> Listing:
    """Return every regular file under ``root``, sorted by path.

    A folder that vanishes or may not be read becomes a problem; the walk goes on.

    Raises:
        IncompleteDelivery: ``root`` itself is not there.
        OfficeRefused: the server does not let us list ``root``.
        OfficeUnreachable: the connection was lost.
    """
    walk = _Walk(wire, max_depth=MAX_DEPTH)
    walk.run([root])
    if walk.refused is not None:
        raise walk.refused
    walk.listing.files.sort(key=lambda file: file.path)
    return walk.listing


class _Walk:
    """The folders in flight and what they brought."""

    def __init__(self, wire: Wire, *, max_depth: int) -> None:
        self.wire = wire
        self.max_depth = max_depth
        self.listing = Listing()
        self.below: list[_Folder] = []
        self.refused: ExchangeError | IncompleteDelivery | None = None
        self._queue: deque[_Folder] = deque()
        self._open = 0
        self._pending: dict[
            int, tuple[Callable[[_Folder, int, Payload, str], None], _Folder, str]
        ] = {}
        handles = wire.limits.open_handles
        self._ahead = min(FOLDERS_IN_FLIGHT, handles) if handles else FOLDERS_IN_FLIGHT

    def run(self, roots: list[str]) -> None:
        self._queue.extend(_Folder(root, 0) for root in roots)
        while self._queue or self._pending:
            while self._queue and self._open < self._ahead:
                folder = self._queue.popleft()
                self._open += 1
                self._ask(self._opened, folder, Op.OPENDIR, text(folder.path))
            op, number, payload = self.wire.receive()
            if number not in self._pending:
                raise OfficeRefused(f"the server answered a request never made ({number})")
            answer, folder, path = self._pending.pop(number)
            answer(folder, op, payload, path)

    def _ask(
        self,
        answer: Callable[[_Folder, int, Payload, str], None],
        folder: _Folder,
        op: Op,
        argument: bytes,
        path: str = "",
    ) -> None:
        self._pending[self.wire.request(op, argument)] = (answer, folder, path)

    def _opened(self, folder: _Folder, op: int, payload: Payload, _: str) -> None:
        if op != Op.HANDLE:
            self._open -= 1
            self._failed(folder, payload)
            return
        folder.handle = Reader(payload).string()
        for _page in range(PAGES_IN_FLIGHT):
            self._next_page(folder)

    def _next_page(self, folder: _Folder) -> None:
        folder.pages += 1
        self._ask(self._page, folder, Op.READDIR, text(folder.handle))

    def _page(self, folder: _Folder, op: int, payload: Payload, _: str) -> None:
        folder.pages -= 1
        if op == Op.NAME:
            self._names(folder, Reader(payload))
            if not folder.finished:
                self._next_page(folder)
        else:
            if not folder.finished and Reader(payload).u32() != Status.END_OF_FILE:
                self._failed(folder, payload)
            folder.finished = True
        if folder.finished and folder.pages == 0:
            self._ask(self._closed, folder, Op.CLOSE, text(folder.handle))

    def _closed(self, folder: _Folder, op: int, payload: Payload, path: str) -> None:
        del folder, op, payload, path
        self._open -= 1

    def _names(self, folder: _Folder, reader: Reader) -> None:
        for _ in range(reader.u32()):
            name = reader.path()
            reader.string()
            attributes = reader.attributes()
            if name not in (".", ".."):
                self._entry(folder, name, attributes)

    def _entry(self, folder: _Folder, name: str, attributes: Attributes) -> None:
        path = f"{folder.path.rstrip('/')}/{name}"
        if not name or "/" in name or "\0" in name:
            self.listing.problems.append(
                Problem(path, "the server gave a name that is no file name")
            )
        elif attributes.mode is None:
            self._ask(self._stated, folder, Op.LSTAT, text(path), path)
        else:
            self._sort_in(folder, path, attributes)

    def _stated(self, folder: _Folder, op: int, payload: Payload, path: str) -> None:
        if op == Op.ATTRS:
            attributes = Reader(payload).attributes()
            if attributes.mode is not None:
                self._sort_in(folder, path, attributes)
                return
        self.listing.problems.append(
            Problem(path, "the server does not say what kind of file it is")
        )

    def _sort_in(self, folder: _Folder, path: str, attributes: Attributes) -> None:
        if attributes.is_file:
            self.listing.files.append(RemoteFile(path, attributes.size, attributes.mtime))
        elif attributes.is_folder:
            below = _Folder(path, folder.depth + 1)
            self.below.append(below)
            if below.depth <= self.max_depth:
                self._queue.append(below)
            elif self.max_depth:
                self.listing.problems.append(Problem(path, f"more than {MAX_DEPTH} folders deep"))
        else:
            link = attributes.mode is not None and stat.S_ISLNK(attributes.mode)
            reason = "a link is not followed" if link else "not a regular file"
            self.listing.problems.append(Problem(path, reason))
        if len(self.listing.files) + len(self.below) > MAX_ENTRIES:
            raise OfficeRefused(f"more than {MAX_ENTRIES} files and folders under one office")

    def _failed(self, folder: _Folder, payload: Payload) -> None:
        try:
            raise_for_status(payload, folder.path)
        except (ExchangeError, IncompleteDelivery) as exc:
            if folder.depth == 0:
                self.refused = exc
            else:
                self.listing.problems.append(Problem(folder.path, exc.detail))
