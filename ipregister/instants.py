"""Instants as documents have them, in UTC (RFC 3339); for people see ``report_words.moment``."""

from datetime import UTC, datetime


def instant(at: datetime) -> str:
    """Return the JSON form of an instant, ``2026-11-22T05:30:00Z``; ``at`` knows its time zone."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
