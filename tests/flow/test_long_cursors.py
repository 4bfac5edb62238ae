"""The feed of a whole hub: its cursor fits in the heads that proxies take, and comes back."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from connectors.rendering import render_fragments
from connectors.serving.gaps import forget_places
from connectors.serving.schema import connect
from connectors.serving_store import Publication, ServingRow
from ipregister.model import Disclosure, Right, load_tables
from ipregister.offices import originating_offices

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
OFFICES = [office.code for office in originating_offices()]

PROXY_HEAD = 4_096
"""Bytes of an answer's head that nginx takes where nobody says otherwise; more is a 502."""


@pytest.fixture
def hub(third_parties: Any) -> Any:
    """A hub whose offices share everything with one third party."""
    for office in OFFICES:
        rights: dict[Right, frozenset[Disclosure]] = {right: frozenset() for right in Right}
        third_parties.ledger.authorizations.set(office, "Acme", rights, None, NOW, "test")
    publish_everywhere(third_parties)
    return third_parties


def publish_everywhere(hub: Any) -> None:
    for office in OFFICES:
        for right in Right:
            name = sha256(f"{office}{right}".encode()).hexdigest()[:24]
            row: dict[str, Any] = {"recordId": name, "officeCode": office, "right": str(right)}
            number = next(hub.numbers)
            row |= {"applicationNumber": str(number)}
            fragments = render_fragments(load_tables()[right], row)
            rows = [ServingRow(name, 1, str(number), fragments)]
            hub.serving.publish(Publication(f"D-{number}", office, right, NOW, rows))


def test_the_cursor_of_a_whole_hub_passes_through_proxies(hub: Any) -> None:
    with closing(connect(hub.serving.path, writer=True)) as rebuilt:
        forget_places(rebuilt, NOW + timedelta(minutes=1), whole=True)
    query, heard = "", 0
    while True:
        page = hub.get(f"/v1/changes?limit=20{query}", Accept="application/x-ndjson")
        head = sum(len(name) + len(value) + 4 for name, value in page.headers.items())
        assert (page.status_code, head < PROXY_HEAD) == (200, True)
        heard += len(page.text.splitlines())
        query = f"&cursor={page.headers['next-cursor']}"
        if page.headers["has-more"] == "false":
            break
    assert heard == len(OFFICES) * len(Right)
    publish_everywhere(hub)
    again = json.loads(hub.get(f"/v1/changes?limit=1000{query}").text)
    assert len(again["items"]) == heard
