"""Which form a client gets."""

from typing import Any

import pytest
from starlette.requests import Request

from api.negotiation import FEED_FORMATS, RECORD_FORMATS, negotiate
from connectors.exports.formats import Format


def asking(*accept: str) -> Request:
    headers = [(b"accept", value.encode()) for value in accept]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ((), Format.JSON),
        (("*/*",), Format.JSON),
        (("application/json",), Format.JSON),
        (("APPLICATION/JSON; charset=utf-8",), Format.JSON),
        (("application/*",), Format.JSON),
        (("text/csv",), Format.CSV),
        (("text/*",), Format.CSV),
        (("text/csv;header=present",), Format.CSV),
        (("application/x-ndjson",), Format.NDJSON),
        (("application/vnd.apache.parquet",), Format.PARQUET),
        (("application/vnd.apache.arrow.stream",), Format.ARROW),
        (("application/xml",), Format.XML),
        (("application/json;q=0.5, text/csv",), Format.CSV),
        (("application/json;q=0.5", "text/csv;q=0.4"), Format.JSON),
        (("*/*;q=0.1, application/xml;q=0.2",), Format.XML),
        (("application/json;q=0, */*",), Format.NDJSON),
        (("application/*;q=0.3, application/json;q=0, text/csv;q=0.2",), Format.NDJSON),
        (("image/png",), None),
        (("application/json;q=0",), None),
        (("application/json;q=0.000",), None),
        (("application/json;q=2",), None),
        (("application/json;q=",), None),
        (("",), Format.JSON),
        ((";;,,q=1",), None),
    ],
)
def test_the_form_is_the_one_preferred(accept: tuple[str, ...], expected: Any) -> None:
    assert negotiate(asking(*accept), RECORD_FORMATS) == expected


def test_a_route_gives_no_form_it_does_not_have() -> None:
    assert negotiate(asking("text/csv, application/x-ndjson;q=0.1"), FEED_FORMATS) is Format.NDJSON
    assert negotiate(asking("text/csv"), FEED_FORMATS) is None
