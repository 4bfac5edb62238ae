"""Whole lists for an office's own tools, streamed: CSV for spreadsheets, NDJSON for programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from api.bodies import HEADERS, JSON
from connectors.reports.safe_cells import for_csv

CSV, NDJSON = "text/csv", "application/x-ndjson"
FORMS = (JSON, CSV, NDJSON)
"""Forms of a list: JSON comes in pages, the others are the whole."""

Batches = Iterable[Sequence[Mapping[str, Any]]]


def work_list(form: str, fields: Sequence[str], batches: Batches) -> Response:
    """Return a whole list as ``CSV`` or ``NDJSON``."""
    lines = _csv(fields, batches) if form == CSV else _ndjson(batches)
    return StreamingResponse(lines, 200, HEADERS, form)


def _csv(fields: Sequence[str], batches: Batches) -> Iterator[bytes]:
    """Yield CSV in which no cell runs as a formula."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(fields)
    for batch in batches:
        writer.writerows([for_csv(row[name]) for name in fields] for row in batch)
        yield sink.getvalue().encode("utf-8", "backslashreplace")
        sink.seek(0)
        sink.truncate()
    yield sink.getvalue().encode()


def _ndjson(batches: Batches) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode_lines
    for batch in batches:
        yield encode(batch)
