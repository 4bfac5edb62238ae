"""All records of one office and right as NDJSON, in one state of the register.

They come from the mapped columns of the space where these fit its present state, and from the
store itself otherwise: the same bytes, at another speed.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.answers import Answer, caching, counted, disposition
from api.auth import token_hash, watch
from api.limits import count_rows
from api.problems import refuse
from api.receipting import note
from api.service import Service
from api.streams import Leave, Piece, Produce, Streamed, compressed, encoding_of
from connectors.exports.formats import MEDIA_TYPES, Format, encoder
from connectors.exports.mapped import MappedReading, length_of
from connectors.exports.tasks import Task
from connectors.ledger import Access
from connectors.receipts.journal import Route
from connectors.serving.rows import mask_of
from connectors.serving_store import START, Count, Filters
from ipregister.authorizations import Grant
from ipregister.model import Right

WORTH_MAPPING = 5_000
"""Records below which the store itself is as fast as anybody can tell."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream is of: the records, and which fields (``columns``) of ``every`` one."""

    access: Access
    office: str
    right: Right
    grant: Grant
    columns: Collection[str]
    every: Collection[str]
    filters: Filters
    after: tuple[str, str]
    descending: bool
    count: Count


@dataclass(frozen=True, slots=True)
class Source:
    """Where the bytes come from; ``length`` is how many there will be, where that is known.

    ``total`` is the number of records, where the client wants to be told.
    """

    produce: Produce
    close: Callable[[], None]
    length: int | None = None
    total: int | None = None


async def stream(request: Request, service: Service, wanted: Wanted) -> Response:
    """Return everything there is, piece by piece."""
    # From before it is opened: counting what fits a search takes time, and it may be revoked then.
    leave = _leave(request, service, wanted)
    if not service.streams.take():
        return refuse(request, "busy", headers={"Retry-After": "10"})
    try:
        source = await run_in_threadpool(_open, request, service, wanted)
    except BaseException:
        service.streams.give_back()
        raise

    def close() -> None:
        source.close()
        service.streams.give_back()

    headers = caching(wanted.grant.allowed)
    headers |= disposition(wanted.office, wanted.right, Format.NDJSON)
    headers |= counted(source.total)
    headers["Content-Type"] = MEDIA_TYPES[Format.NDJSON]
    if encoding := encoding_of(request):
        headers["Content-Encoding"] = encoding
        return Streamed(compressed(source.produce, encoding), leave, close, headers)
    if source.length is not None:
        headers["Content-Length"] = str(source.length)
    return Streamed(source.produce, leave, close, headers)


def _leave(request: Request, service: Service, wanted: Wanted) -> Leave:
    """Return what lets a piece go while its client may have it, and notes that it went."""
    space = (wanted.office, wanted.right)
    is_allowed = watch(request, service, token_hash(request), space, wanted.grant)

    def leave(piece: Piece) -> bool:
        if not is_allowed():
            return False
        note(request, service, wanted.access, Route.STREAM, space, piece.records)
        count_rows(request, piece.rows)
        return True

    return leave


def _open(request: Request, service: Service, wanted: Wanted) -> Source:
    return _mapped(request, service, wanted) or _stored(service, wanted)


def _stored(service: Service, wanted: Wanted) -> Source:
    """Read the store; every piece is an ``Answer`` and leaves its receipt when it goes out."""
    space = (wanted.office, wanted.right)
    opened = service.serving.reading(
        *(*space, wanted.grant, wanted.filters),
        after=wanted.after,
        descending=wanted.descending,
        count=wanted.count,
    )
    made = encoder(Format.NDJSON, wanted.right, wanted.columns)
    empty = Answer(*space, wanted.grant.allowed, wanted.every, (), ())

    def produce() -> Piece | None:
        if (read := opened.read()) is None:
            return None
        answer = replace(empty, records=read.records, bodies=read.bodies).only(wanted.columns)
        return Piece(made.encode(answer.bodies), len(answer.records), answer.records)

    return Source(produce, opened.close, total=opened.count)


def _mapped(request: Request, service: Service, wanted: Wanted) -> Source | None:
    """Read the mapped columns, if they are of this moment; else have them made for the next."""
    exports, space = service.exports, (wanted.office, wanted.right)
    # In page order, and from its beginning.
    narrowed = (wanted.filters, wanted.after, wanted.descending) != (Filters(), START, False)
    if exports is None or narrowed or len(wanted.columns) < len(wanted.every):
        return None
    task = Task(*space, service.serving.whole_place(*space, wanted.grant), Format.ARROW)
    found = exports.snapshot(task.key)
    if found is None:
        if service.serving.count(*space, wanted.grant) < WORTH_MAPPING:
            return None
        source = _stored(service, wanted)

        def close() -> None:
            source.close()
            exports.ask(task)  # only now: the builder must not compete with this stream

        return replace(source, close=close)
    mask = mask_of(wanted.grant.allowed)
    try:
        opened = MappedReading(exports.store.files / found.file, mask)
    except FileNotFoundError:  # removed since its manifest was read
        return None
    # Which records these are was kept when the columns were made.
    note(request, service, wanted.access, Route.STREAM, space, snapshot=found.sha256)

    def produce() -> Piece | None:
        return None if (read := opened.read()) is None else Piece(*read)

    total = None if wanted.count is Count.NONE else found.records
    return Source(produce, opened.close, length_of(found, mask), total)
