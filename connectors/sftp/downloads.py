"""Fetch files over one SFTP channel with many reads, and many files, in flight.

Files come out in the order asked for; while one is being consumed the next are opened and
read ahead, within a budget of bytes, so memory does not grow with file size or number. A
file is only complete when its size and time are still those of the listing after its last
byte: a file that grew, shrank or was replaced meanwhile is refused, never landed in part.

Why not Paramiko's own ``get``: it asks one 32 KiB piece at a time or the whole file at
once, and one file after the other (figures: ``benchmarks/sftp.py``).
"""

import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from connectors.sftp.files import Download, RemoteFile, ignore, nothing_more
from connectors.sftp.packets import Op, Payload, Reader, Status, raise_for_status, text
from connectors.sftp.protocol import Wire
from ipregister.errors import ExchangeError, IncompleteDelivery, OfficeRefused, OfficeUnreachable

READ_AHEAD_FILES = 64
"""Files open at once: two turns per small file, so 100 ms of distance still gives 300 files/s."""

READ_AHEAD_BYTES = 16 * 261_120
"""Bytes asked for and not yet consumed. More only fills buffers on a short line: on loopback
64 pieces in flight were a third slower than 16."""

FAR_READ_AHEAD_BYTES = 64 * 261_120
"""The same for a long line: 16 MiB are 160 MB/s at 100 ms."""

FAR_SECONDS = 0.02
"""A round trip from which on a line is long."""

_OPEN_FOR_READING = struct.pack(">II", 0x1, 0)
_READ = struct.Struct(">QI")


def fetch(
    wire: Wire,
    files: Sequence[RemoteFile],
    *,
    starts: Mapping[str, int] | None = None,
    hashed: bool = True,
) -> Iterator[Download]:
    """Yield one download per file, in order; each is read before the next is taken.

    Args:
        wire: used by nothing else until the iterator is exhausted or closed.
        files: as a listing saw them.
        starts: by path, the byte at which a file goes on that was interrupted before.
        hashed: keep a running SHA-256; leave it out where the sink computes one.
    """
    begin = starts or {}
    pump = _Pump(wire, [Download(file, begin.get(file.path, 0), hashed) for file in files])
    try:
        while (download := pump.head()) is not None:
            yield download
            pump.drop_head()
    finally:
        pump.drain()


class _Pump:
    """Keeps requests flying for the downloads at the front of the queue."""

    def __init__(self, wire: Wire, downloads: Sequence[Download]) -> None:
        self.wire = wire
        self.waiting = deque(downloads)
        self.active: deque[Download] = deque()
        self.hungry: deque[Download] = deque()
        self.pending: dict[int, tuple[Callable[..., None], Download, int, int]] = {}
        self.used = 0
        self.broken = False
        handles = wire.limits.open_handles
        self.ahead = min(READ_AHEAD_FILES, max(1, handles - 1)) if handles else READ_AHEAD_FILES
        self.chunk = wire.limits.read_bytes
        far = wire.round_trip_seconds >= FAR_SECONDS
        self.budget = FAR_READ_AHEAD_BYTES if far else READ_AHEAD_BYTES
        self.open_handles = 0

    def head(self) -> Download | None:
        """Return the file to be read now; ``None`` when all were."""
        self._open_more()
        while not self.active and self.waiting:
            self._receive()
            self._open_more()
        return self.active[0] if self.active else None

    def drop_head(self) -> None:
        """Leave the front file; what was not read of it is thrown away."""
        self._give_up(self.active.popleft(), None)

    def drain(self) -> None:
        """Close what is open and take the answers still under way, so that the wire is free.

        A server that sends them too slowly is given up instead.
        """
        self.waiting.clear()
        self.wire.hurry()
        while self.active:
            self._give_up(self.active.popleft(), None)
        while self.pending and not self.broken:
            try:
                self._receive()
            except ExchangeError:
                self.broken = True

    def step(self) -> None:
        """Ask for what the budget allows, then take one answer."""
        if self.broken:
            raise OfficeUnreachable("the SFTP connection broke down before")
        self._open_more()
        self._read_more()
        self._receive()

    def _receive(self) -> None:
        try:
            op, number, payload = self.wire.receive()
        except ExchangeError:
            self.broken = True
            raise
        asked = self.pending.pop(number, None)
        if asked is None:
            self.broken = True
            raise OfficeRefused(f"the server answered a request never made ({number})")
        answer, download, offset, length = asked
        try:
            answer(download, op, payload, offset, length)
        except (ExchangeError, IncompleteDelivery) as exc:
            self._give_up(download, exc)

    def _ask(
        self, answer: Callable[..., None], download: Download, request: int, *span: int
    ) -> None:
        offset, length = span or (0, 0)
        self.pending[request] = (answer, download, offset, length)

    def _open_more(self) -> None:
        while self.waiting and len(self.active) < self.ahead and self.open_handles < self.ahead:
            download = self.waiting.popleft()
            download.advance, download.release = self.step, self._release
            download.is_open = True
            self.active.append(download)
            self.open_handles += 1
            request = self.wire.request(Op.OPEN, text(download.file.path), _OPEN_FOR_READING)
            self._ask(self._opened, download, request)

    def _read_more(self) -> None:
        """Ask for pieces, first file first; the front file always has one piece under way."""
        while self.hungry:
            download = self.hungry[0]
            left = download.file.size - download.next_offset
            length = min(self.chunk, left)
            if self.used + length > self.budget:
                head = self.active[0] if self.active else None
                if head is None or head not in self.hungry or head.reads or head.ready:
                    return
                download, length = head, min(self.chunk, head.file.size - head.next_offset)
            self._request_piece(download, download.next_offset, length)
            download.next_offset += length
            if download.next_offset >= download.file.size:
                self.hungry.remove(download)
                self._check(download)

    def _request_piece(self, download: Download, offset: int, length: int) -> None:
        download.reads += 1
        self.used += length
        handle = download.handle or b""
        request = self.wire.request(Op.READ, text(handle), _READ.pack(offset, length))
        self._ask(self._piece, download, request, offset, length)

    def _check(self, download: Download) -> None:
        download.checking = True
        request = self.wire.request(Op.FSTAT, text(download.handle or b""))
        self._ask(self._stated, download, request)

    def _opened(self, download: Download, op: int, payload: Payload, *_: int) -> None:
        if op != Op.HANDLE:
            self.open_handles -= 1
            download.is_open = False
            raise_for_status(payload, download.file.path)
            raise OfficeRefused(f"the server opened {download.file.path!r} without a handle")
        download.handle = Reader(payload).string()
        if download.abandoned:
            self._close(download)
        elif download.next_offset < download.file.size:
            self.hungry.append(download)
        else:
            self._check(download)

    def _piece(
        self, download: Download, op: int, payload: Payload, offset: int, length: int
    ) -> None:
        download.reads -= 1
        data = Reader(payload).string() if op == Op.DATA else b""
        self.used -= length - len(data)
        if download.abandoned:
            self.used -= len(data)
            return
        if len(data) > length:
            raise OfficeRefused(f"the server sent more of {download.file.path!r} than asked for")
        if not data:
            if op == Op.STATUS and Reader(payload).u32() != Status.END_OF_FILE:
                raise_for_status(payload, download.file.path)
            raise _changed(download.file)
        download.accept(offset, data)
        if len(data) < length:
            self._request_piece(download, offset + len(data), length - len(data))
        self._finish(download)

    def _stated(self, download: Download, op: int, payload: Payload, *_: int) -> None:
        download.checking = False
        if op != Op.ATTRS:
            raise_for_status(payload, download.file.path)
        seen = Reader(payload).attributes()
        if (seen.size, seen.mtime) != (download.file.size, download.file.mtime):
            raise _changed(download.file)
        # Seen before its last byte came, as where pieces come short, it proves nothing.
        download.checked = not download.reads
        self._finish(download)

    def _finish(self, download: Download) -> None:
        """Close a file of which everything came, once it was seen unchanged after that."""
        if download.reads or download.next_offset < download.file.size or not download.is_open:
            return
        if download.checked:
            self._close(download)
        elif not download.checking:
            self._check(download)

    def _release(self, size: int) -> None:
        self.used -= size

    def _give_up(
        self, download: Download, error: ExchangeError | IncompleteDelivery | None
    ) -> None:
        """Stop asking for a file and close it; what was ready is thrown away."""
        if download.abandoned:
            return
        download.abandoned, download.error = True, error
        download.advance, download.release = nothing_more, ignore
        self.used -= sum(map(len, download.ready)) + sum(map(len, download.early.values()))
        download.ready.clear()
        download.early.clear()
        if download in self.hungry:
            self.hungry.remove(download)
        if download.is_open and download.handle is not None:
            self._close(download)

    def _close(self, download: Download) -> None:
        download.is_open = False
        if not self.broken:
            request = self.wire.request(Op.CLOSE, text(download.handle or b""))
            self._ask(self._closed, download, request)

    def _closed(self, download: Download, op: int, payload: Payload, *_: int) -> None:
        del download, op, payload
        self.open_handles -= 1


def _changed(file: RemoteFile) -> IncompleteDelivery:
    return IncompleteDelivery(
        f"{file.path!r} changed while it was being read; it is read again at the next pass"
    )
