"""Several files in one body, taken apart as it comes: no part is ever held in memory.

Only what a delivery needs: every part is a file with a name. A part without one is refused,
so that no form field is lost without a word.

Standards: RFC 7578 (multipart/form-data), RFC 2046 §5.1 (boundaries).
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.policy import HTTP

from ipregister.errors import InvalidRequest

MAX_HEAD_BYTES = 8_192
"""The headers of one part; a file name has at most 255 characters."""

MAX_PARTS = 200
"""Each is an open file until all are there; who has more names them by ``fileIds``."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A part begins: the file name its sender gave it."""

    name: str


class End:
    """The part that began last is complete."""


Event = Begin | bytes | End
"""Bytes are of the part that began last."""

Step = Generator[Event, None, bool]
"""Yields events; tells whether the state changed, so that more may be done at once."""


class Multipart:
    """Turns chunks of a body into events; feed it all, then ``finish``."""

    def __init__(self, content_type: str) -> None:
        """Read the boundary.

        Raises:
            InvalidRequest: there is none, or it is not one.
        """
        message = Message()
        message["content-type"] = content_type
        boundary = message.get_param("boundary")
        if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70 or not boundary.isascii():
            raise InvalidRequest("multipart/form-data needs a boundary of 1 to 70 characters.")
        self._mark = b"\r\n--" + boundary.encode()
        # As if a line had ended before: the first boundary needs none.
        self._held = b"\r\n"
        self._state = "preamble"
        self._parts = 0

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield what a chunk completes.

        Raises:
            InvalidRequest: it is not multipart, or not only files.
        """
        self._held += chunk
        while True:
            if self._state in ("preamble", "data"):
                whole = yield from self._to_mark()
            elif self._state == "mark":
                whole = self._after_mark()
            elif self._state == "head":
                whole = yield from self._head()
            else:
                self._held, whole = b"", False  # an epilogue means nothing
            if not whole:
                return

    def finish(self) -> None:
        """Make sure that the last part was the last.

        Raises:
            InvalidRequest: the body ends within a part.
        """
        if self._state != "epilogue":
            raise InvalidRequest("The multipart body ends before its closing boundary.")

    def _to_mark(self) -> Step:
        """Hand on data up to the next boundary, as far as it certainly is data."""
        at = self._held.find(self._mark)
        end = at if at >= 0 else max(0, len(self._held) - len(self._mark) + 1)
        if self._state == "data" and end:
            yield self._held[:end]
        self._held = self._held[end:]
        if at < 0:
            return False
        self._held = self._held[len(self._mark) :]
        if self._state == "data":
            yield End()
        self._state = "mark"
        return True

    def _after_mark(self) -> bool:
        if len(self._held) < 2:
            return False
        if self._held[:2] == b"--":
            self._state = "epilogue"
            return True
        line, ended, rest = self._held.partition(b"\r\n")
        if line.strip(b" \t\r") or len(line) > MAX_HEAD_BYTES:
            raise InvalidRequest("The multipart body has a broken boundary.")
        if not ended:
            return False
        # The empty line after no headers at all must be found too.
        self._held, self._state = b"\r\n" + rest, "head"
        return True

    def _head(self) -> Step:
        head, ended, rest = self._held.partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD_BYTES:
            raise InvalidRequest(f"A part has more than {MAX_HEAD_BYTES} bytes of headers.")
        if not ended:
            return False
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequest(f"At most {MAX_PARTS} files in one body; for more use fileIds.")
        yield Begin(_name(head))
        self._held, self._state = rest, "data"
        return True


def _name(head: bytes) -> str:
    """Return the file name of a part."""
    headers = HeaderParser(policy=HTTP).parsestr(head.strip(b"\r\n").decode("utf-8", "replace"))
    name = headers.get_filename()
    if not name:
        raise InvalidRequest("Every part must be a file: name it with filename=.")
    return name
