"""Which form a client gets: its ``Accept`` against what a route has.

The most specific range that fits a form decides about it; among forms taken alike the route's
order decides. Nobody who names no preference gets anything but the first: JSON.

Standard: RFC 9110 §12.5.1 (Accept), §12.4.2 (quality values).
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from api.problems import problem
from connectors.exports.formats import MEDIA_TYPES, Format

MAX_ACCEPT = 1_024
"""Characters of an ``Accept`` that are read; browsers send about 150."""

RECORD_FORMATS = tuple(MEDIA_TYPES)
FEED_FORMATS = (Format.JSON, Format.NDJSON)

_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def said(request: Request, header: bytes) -> str:
    """Return what a request says in a header, said once or more often; empty for nothing.

    The framework's own reading makes an object of all headers first.
    """
    values = [value for name, value in request.scope["headers"] if name == header]
    return b",".join(values).decode("latin-1") if values else ""


def negotiate(request: Request, offered: Sequence[Format]) -> Format | None:
    """Return the form to answer in, or nothing when the client takes none of them."""
    accept = _accept(request)
    place = 0 if accept is None else _best(accept, tuple(MEDIA_TYPES[kind] for kind in offered))
    return None if place is None else offered[place]


def accepted(request: Request, media_types: tuple[str, ...]) -> int | None:
    """Return the place of the form to answer in, or nothing when the client takes none."""
    accept = _accept(request)
    return 0 if accept is None else _best(accept, media_types)


def _accept(request: Request) -> str | None:
    # One that is empty names no preference, as if it were not there.
    return said(request, b"accept")[:MAX_ACCEPT].strip(" \t,") or None


def accepts_json(request: Request) -> bool:
    """Tell whether the client takes JSON, where there is nothing else."""
    return accepted(request, (MEDIA_TYPES[Format.JSON],)) is not None


def not_acceptable(request: Request, offered: Sequence[Format]) -> Response:
    """Return the refusal that lists what the route has."""
    return available(request, [MEDIA_TYPES[kind] for kind in offered])


def available(request: Request, media_types: Sequence[str]) -> Response:
    """Return the refusal that lists these media types."""
    detail = f"Available here: {', '.join(media_types)}."
    return problem(request, 406, "not_acceptable", "Not acceptable", detail)


@lru_cache(maxsize=1_024)
def _best(accept: str, offered: tuple[str, ...]) -> int | None:
    ranges = _ranges(accept)
    ranked = [(_quality(name, ranges), -place) for place, name in enumerate(offered)]
    quality, place = max(ranked)
    return -place if quality > 0 else None


def _ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for entry in accept.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, text = parameter.partition("=")
            if key.strip() == "q":
                # A quality nobody can read is none: the range is not taken.
                quality = float(text) if _QUALITY.fullmatch(text.strip()) else 0.0
        if name:
            ranges[name] = max(quality, ranges.get(name, 0.0))
    return ranges


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    whole = media_type.partition("/")[0]
    for name in (media_type, f"{whole}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0
