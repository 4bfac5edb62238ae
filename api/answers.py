"""Records on their way out: what one answer holds, and its bytes in the form asked for.

Every answer with records of one office and right is an ``Answer`` first, whatever its form,
so there is one place that knows which records a client got.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from starlette.responses import Response

from connectors.exports.formats import MEDIA_TYPES, Format, encoder
from connectors.exports.projection import project
from ipregister.model import Disclosure, Right

ETAG_BYTES = 16


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


def respond(answer: Answer, kind: Format, body: bytes, headers: dict[str, str]) -> Response:
    """Return the answer a client gets; any form but JSON is a file with a name."""
    if kind is not Format.JSON:
        headers |= disposition(answer.office, answer.right, kind)
    return Response(body, 200, caching(answer.allowed) | headers, MEDIA_TYPES[kind])


def disposition(office: str, right: Right, kind: Format) -> dict[str, str]:
    """Return how to name the file: by what the path says anyway."""
    return {"Content-Disposition": f'attachment; filename="{office}-{right}.{kind}"'}


def caching(allowed: frozenset[Disclosure]) -> dict[str, str]:
    """Return the cache headers: never shared, and never kept when persons are in it."""
    keep = "private, no-store" if Disclosure.STAKEHOLDER in allowed else "private, no-cache"
    return {"Cache-Control": keep, "Vary": "Authorization, Accept"}


def etag_of(body: bytes) -> str:
    """Return the ETag of the bytes this client gets: a change it may not see changes none."""
    return f'"{blake2b(body, digest_size=ETAG_BYTES).hexdigest()}"'


def matches(known: str, etag: str) -> bool:
    """Tell whether an ``If-None-Match`` names this ETag (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return etag in tags or "*" in tags
