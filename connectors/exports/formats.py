"""The forms in which records leave: their media types, file names and encoders.

An encoder takes records as the JSON a client may see, so nothing that was withheld can come
back in another form. How a client asks for one is ``api.negotiation``.

Standards: RFC 8259 (JSON), RFC 4180 (CSV), NDJSON, Apache Parquet, Arrow IPC, WIPO ST.96.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Protocol

from connectors.exports.columnar import ArrowEncoder, ParquetEncoder, schema_of
from connectors.exports.delimited import CsvEncoder
from connectors.exports.st96 import XmlEncoder
from ipregister.model import Disclosure, Right, load_tables


class Format(StrEnum):
    """Forms of a set of records, as an export is asked for."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"
    XML = "xml"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.XML: "application/xml",
}
"""In the order of preference when a client takes several alike."""


class Encoder(Protocol):
    """Turns records into bytes, piece by piece, in bounded memory."""

    def encode(self, bodies: Sequence[bytes]) -> bytes:
        """Take records (JSON objects) in and return the bytes that are ready."""

    def finish(self) -> bytes:
        """Return the rest."""


class NdjsonEncoder:
    """Records to NDJSON: the very bytes of the records, a line each."""

    def encode(self, bodies: Sequence[bytes]) -> bytes:
        """Return records as lines."""
        return b"\n".join(bodies) + b"\n" if bodies else b""

    def finish(self) -> bytes:
        """Return nothing: there is no end mark."""
        return b""


def encoder(kind: Format, right: Right, columns: Collection[str]) -> Encoder:
    """Return an encoder for records that have the fields ``columns`` and no other."""
    match kind:
        case Format.CSV:
            names = [field.name for field in load_tables()[right].fields]
            return CsvEncoder([name for name in names if name in columns])
        case Format.PARQUET:
            return ParquetEncoder(schema_of(right, columns))
        case Format.ARROW:
            return ArrowEncoder(schema_of(right, columns))
        case Format.XML:
            return XmlEncoder(right)
        case _:
            return NdjsonEncoder()


def columns_of(right: Right, allowed: Collection[Disclosure]) -> tuple[str, ...]:
    """Return the fields of the allowed classes, in table order."""
    return tuple(f.name for f in load_tables()[right].fields if f.disclosure in allowed)
