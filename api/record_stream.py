"""All records of one office and right as NDJSON, read in one state of the register."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.answers import Answer, caching, disposition
from api.limits import count_rows
from api.problems import refuse
from api.service import Service
from api.streams import Streamed, compressed, encoding_of
from connectors.exports.formats import MEDIA_TYPES, Format, encoder
from connectors.serving_store import Reading


async def stream(
    request: Request,
    service: Service,
    empty: Answer,
    columns: Collection[str],
    open_reading: Callable[[], Reading],
    write_down: Callable[[Sequence[str]], None],
) -> Response:
    """Return everything there is; each piece of it is an ``Answer`` like ``empty``.

    Args:
        request: what the client asked, for its ``Accept-Encoding``.
        service: the stores, and the slots for streams.
        empty: office, right, classes and fields of the answer, without records.
        columns: the fields the client wants.
        open_reading: opens the reading; called once, in a thread.
        write_down: leaves the receipt of a piece before the piece goes out.
    """
    if not service.streams.take():
        return refuse(request, "busy", headers={"Retry-After": "10"})
    try:
        reading = await run_in_threadpool(open_reading)
    except BaseException:
        service.streams.give_back()
        raise
    made = encoder(Format.NDJSON, empty.right, columns)

    def produce() -> bytes | None:
        piece = reading.read()
        if piece is None:
            return None
        count_rows(request, len(piece.records))
        write_down(piece.records)
        answer = replace(empty, records=piece.records, bodies=piece.bodies).only(columns)
        return made.encode(answer.bodies)

    def close() -> None:
        reading.close()
        service.streams.give_back()

    headers = caching(empty.allowed) | disposition(empty.office, empty.right, Format.NDJSON)
    headers |= {"Content-Type": MEDIA_TYPES[Format.NDJSON]}
    headers["Vary"] += ", Accept-Encoding"
    if encoding := encoding_of(request):
        headers["Content-Encoding"] = encoding
        return Streamed(compressed(produce, encoding), close, headers)
    return Streamed(produce, close, headers)
