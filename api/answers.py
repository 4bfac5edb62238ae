"""Records on their way out: what one answer holds, and its bytes in the form asked for.

Every answer with records of one office and right is an ``Answer`` first, whatever its form,
so there is one place that knows which records a client got.

Standards: RFC 9110 §8.4.1 (content codings), §8.8.1 (weak ETags), §12.5.3 (Accept-Encoding).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.streams import encoding_of
from connectors.exports.compression import compressed
from connectors.exports.formats import MEDIA_TYPES, Format, encoder
from connectors.exports.projection import project
from ipregister.model import Disclosure, Right

ETAG_BYTES = 16

WORTH_COMPRESSING = 1_024
"""Bytes below which an answer fits into one packet or two anyway."""

WORTH_A_THREAD = 262_144
"""Bytes whose compression takes a millisecond or more, in which others are answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of one space as one client gets them.

    ``records`` are the identifiers of ``bodies``; ``columns`` every field that may be in
    them; ``allowed`` the classes under which they were read.
    """

    office: str
    right: Right
    allowed: frozenset[Disclosure]
    columns: Collection[str]
    records: Sequence[str]
    bodies: Sequence[bytes]

    def only(self, columns: Collection[str]) -> "Answer":
        """Return the answer with these fields only."""
        if len(columns) == len(self.columns):
            return self
        return Answer(
            *(self.office, self.right, self.allowed, columns, self.records),
            project(self.bodies, columns),
        )

    def encoded(self, kind: Format) -> bytes:
        """Return the records in a form other than JSON."""
        made = encoder(kind, self.right, self.columns)
        return made.encode(self.bodies) + made.finish()


class RecordResponse(Response):
    """Records in their form; most of its headers are the same in every answer and kept spelt."""

    def __init__(
        self, body: bytes, kind: Format, allowed: frozenset[Disclosure], headers: Mapping[str, str]
    ) -> None:
        """Answer with ``body``, read under the classes ``allowed``, and ``headers`` of its own."""
        self._shared = _shared_headers(kind, allowed)
        super().__init__(body, 200, headers)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Spell only those headers that are this answer's; the framework spells all of them."""
        own = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in (headers or {}).items()
        ]
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), *self._shared, *own]


@cache
def _shared_headers(kind: Format, allowed: frozenset[Disclosure]) -> list[tuple[bytes, bytes]]:
    spelt = Response(None, 200, caching(allowed), MEDIA_TYPES[kind]).raw_headers
    return [header for header in spelt if header[0] != b"content-length"]


def respond(answer: Answer, kind: Format, body: bytes, headers: dict[str, str]) -> Response:
    """Return the answer a client gets; any form but JSON is a file with a name."""
    if kind is not Format.JSON:
        headers |= disposition(answer.office, answer.right, kind)
    return RecordResponse(body, kind, answer.allowed, headers)


def disposition(office: str, right: Right, kind: Format) -> dict[str, str]:
    """Return how to name the file: by what the path says anyway."""
    return {"Content-Disposition": f'attachment; filename="{office}-{right}.{kind}"'}


def counted(total: int | None) -> dict[str, str]:
    """Return the header that tells how many records there are, where the body cannot."""
    return {} if total is None else {"X-Total-Count": str(total)}


def caching(allowed: frozenset[Disclosure]) -> dict[str, str]:
    """Return the cache headers: never shared, and never kept when persons are in it."""
    keep = "private, no-store" if Disclosure.STAKEHOLDER in allowed else "private, no-cache"
    return {"Cache-Control": keep, "Vary": "Authorization, Accept, Accept-Encoding"}


def coding_of(request: Request, kind: Format, body: bytes) -> str | None:
    """Return how to compress an answer: as its client asks, if there is anything to gain.

    A body never repeats anything from the request, so its length gives nothing away. Columns
    of Parquet are compressed already.
    """
    if kind is Format.PARQUET or len(body) <= WORTH_COMPRESSING:
        return None
    return encoding_of(request)


async def compact(response: Response, coding: str | None) -> Response:
    """Return an answer in a coding, if in any."""
    if coding is not None:
        body = bytes(response.body)
        if len(body) < WORTH_A_THREAD:
            response.body = compressed(body, coding)
        else:
            response.body = await run_in_threadpool(compressed, body, coding)
        response.headers["Content-Encoding"] = coding
        response.headers["Content-Length"] = str(len(response.body))
    return response


def etag_of(body: bytes, coding: str | None = None) -> str:
    """Return the ETag of what this client gets: a change it may not see changes none.

    It is weak when the body leaves compressed, because the bytes are then others.
    """
    tag = f'"{blake2b(body, digest_size=ETAG_BYTES).hexdigest()}"'
    return tag if coding is None else f"W/{tag}"


def is_still(seen: str, etag: str) -> bool:
    """Tell whether an ``If-Match`` names this ETag; a weak one names none (RFC 9110 §13.1.1)."""
    tags = [tag.strip() for tag in seen.split(",")]
    return etag in tags or "*" in tags


def matches(known: str, etag: str) -> bool:
    """Tell whether an ``If-None-Match`` names this ETag (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return etag.removeprefix("W/") in tags or "*" in tags
