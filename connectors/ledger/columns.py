"""Column types that mean the same on SQLite and PostgreSQL.

SQLite has neither time zones nor JSON that keeps its spelling; these types hide that, so that
no statement and no migration has to. Which columns exist is ``schema``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator

from ipregister.errors import StoreError

Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Count = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit number; SQLite wants the plain word for keys."""


def canonical(document: Json) -> str:
    """Return the one spelling of a JSON document that hashes and comparisons rest on."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate (a file name that is not UTF-8) stays a JSON escape: no driver takes it raw.
    return text.encode("utf-8", "backslashreplace").decode()


def readable(text: str) -> str:
    r"""Return text from outside with NUL and what is no UTF-8 written out: ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def microseconds(at: datetime) -> int:
    """Return an instant as microseconds since 1970, for columns only a machine compares.

    Raises:
        StoreError: the instant has no time zone.
    """
    # Not by dividing: every request asks twice.
    past = utc(at) - _EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def from_microseconds(number: int) -> datetime:
    """Return the instant that ``microseconds`` made a number of."""
    return _EPOCH + timedelta(microseconds=number)


def utc(at: datetime) -> datetime:
    """Return an instant in UTC.

    Raises:
        StoreError: it has no time zone.
    """
    if at.tzinfo is None:
        raise StoreError(f"the instant {at.isoformat()} has no time zone: pass UTC")
    return at if at.tzinfo is UTC else at.astimezone(UTC)


class Instant(TypeDecorator[datetime]):
    """An instant: only aware ones go in, always UTC comes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse an instant without a time zone; SQLite would keep it without a word."""
        return None if value is None else utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back the time zone that SQLite drops."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Document(TypeDecorator[Json]):
    """A JSON document as canonical text, byte for byte the same on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Json, dialect: Dialect) -> str | None:
        """Write the canonical spelling; nothing stays NULL."""
        return None if value is None else canonical(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Json:
        """Read the document."""
        loaded: Json = None if value is None else json.loads(value)
        return loaded


class Words(TypeDecorator[str]):
    """Text from outside, made fit for both databases and JSON (``readable``)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Write out what neither database takes."""
        return None if value is None else readable(value)


class ServerPath(TypeDecorator[str]):
    """A path as a server spelt it, given back exactly, whatever its bytes are."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what is not UTF-8, and with it the escape character itself."""
        if value is None:
            return None
        escaped = value.replace("\\", "\\\\").replace("\0", "\\x00")
        return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Undo the escapes."""
        if value is None or "\\" not in value:
            return value
        plain = _ESCAPED.sub(_unescaped, value.encode("utf-8"))
        return plain.decode("utf-8", "surrogateescape")


_ESCAPED = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if match[1] else b"\\"
