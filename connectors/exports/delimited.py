"""Records as CSV: a column per field, nested values as JSON text in their cell.

A cell must never run as a formula when a spreadsheet opens it, and never be read as two. So a
text that a spreadsheet would act on gets an apostrophe in front; inside JSON text the same
characters are written as escapes, which changes no value. The lossless forms are the others.

Standards: RFC 4180 (CSV), RFC 8259 (JSON). Source: OWASP, CSV injection.
"""

import csv
import io
import re
from collections.abc import Sequence

import msgspec

from connectors.reports.safe_cells import for_csv

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


class CsvEncoder:
    """Records to CSV, piece by piece; the first piece starts with the names of the columns."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Start a file with ``columns``, in this order."""
        self._columns = tuple(columns)
        self._sink = io.StringIO()
        self._writer = csv.writer(self._sink, lineterminator="\r\n")
        self._writer.writerow(self._columns)

    def encode(self, bodies: Sequence[bytes]) -> bytes:
        """Return records as lines."""
        for body in bodies:
            record = _decode(body)
            self._writer.writerow(
                [_cell(record[name]) if name in record else "" for name in self._columns]
            )
        return self._drain()

    def finish(self) -> bytes:
        """Return what is left: the line of names, when there was no record."""
        return self._drain()

    def _drain(self) -> bytes:
        text = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return text.encode()


def _cell(raw: msgspec.Raw) -> str:
    value = bytes(raw)
    if value[:1] == b'"':
        return for_csv(_text(value))
    return for_json_text(value.decode())


def for_json_text(text: str) -> str:
    """Return JSON text that is safe in a cell and means the same."""
    if ";" in text or not text.isascii():
        text = _SUSPECT.sub(_escape, text)
    return text


_SUSPECT = re.compile(
    r";(?=[\s\ufeff\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20])"
    r"|[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""What a cell may not hold: a semicolon before an active character, and turners of direction."""


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
