"""Views over real deliveries: who is inside by what the office sent, also in a store made anew."""

from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors import rebuilding
from connectors.hub import Hub
from connectors.rebuilding import rebuild_serving
from connectors.serving_store import Filters
from connectors.views import authorize, prepare_views, used_views
from iphub.cli import app
from ipregister.authorizations import Decision, Grant
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

TM = Right.TRADEMARKS
RECENT = Grant(frozenset(Disclosure), RowRule(applicationDateFrom=datetime(2019, 1, 1).date()))  # noqa: DTZ001 - a day


def share(hub: Hub, at: datetime) -> None:
    """Let Ann have what was filed since 2019."""
    stores, decision = (hub.ledger, hub.serving), Decision({TM: RECENT})
    authorize(
        *stores, office="KH", third_party="Ann", decision=decision, clock=lambda: at, by="test"
    )


def test_a_view_follows_deliveries_and_a_rebuilt_store(desk: Any, ipas: Any) -> None:
    hub, at = desk.hub, datetime(2026, 11, 22, tzinfo=UTC)
    hub.ledger.clients.add(name="a", third_party="Ann", at=at, by="test")
    old, new = ipas.mark("KH1", filed="2018-05-02"), ipas.mark("KH2", filed="2019-05-02")
    desk.deliver(ipas.marks(old, new))
    share(hub, at)

    def seen() -> list[bytes]:
        return hub.serving.page("KH", TM, RECENT, Filters(), limit=9).bodies  # type: ignore[no-any-return]

    (body,) = seen()
    assert b'"KH2"' in body
    desk.deliver(
        ipas.marks(ipas.mark("KH1", filed="2019-06-01"), ipas.mark("KH3", filed="2020-01-01"))
    )
    assert [name in b"".join(seen()) for name in (b'"KH1"', b'"KH2"', b'"KH3"')] == [True] * 3
    before = seen()
    views = list(used_views(hub.ledger, at))
    rebuild_serving(hub.register, hub.home.serving, at=at, views=views)
    assert seen() == before
    rebuild_serving(hub.register, hub.home.serving, at=at)
    prepare_views(hub.ledger, hub.serving, at)
    assert seen() == before


def test_only_what_has_been_published_is_inside_a_rule_for_it(desk: Any, ipas: Any) -> None:
    hub, at = desk.hub, datetime(2026, 11, 22, tzinfo=UTC)
    issue = "<PublicationIdentifier>G-1</PublicationIdentifier>{}"
    gazette = f"<PublicationDetails><Publication>{issue}</Publication></PublicationDetails>"
    days = {"KH1": "2026-01-05", "KH2": "2570-02-01", "KH3": "01/02/2027", "KH4": "2027-02-01"}
    marks = [
        ipas.mark(number).replace(
            "</TradeMark>",
            gazette.format(f"<PublicationDate>{day}</PublicationDate>") + "</TradeMark>",
        )
        for number, day in days.items()
    ]
    undated = ipas.mark("KH5").replace("</TradeMark>", gazette.format("") + "</TradeMark>")
    desk.deliver(ipas.marks(*marks, undated))
    hub.ledger.clients.add(name="a", third_party="Ann", at=at, by="test")
    grant = Grant(frozenset(Disclosure), RowRule(publishedOnly=True))
    decision = Decision({TM: grant})
    authorize(
        *(hub.ledger, hub.serving),
        office="KH",
        third_party="Ann",
        decision=decision,
        clock=lambda: at,
        by="t",
    )
    bodies = hub.serving.page("KH", TM, grant, Filters(), limit=9).bodies
    assert [name for name in (*days, "KH5") if f'"{name}"'.encode() in b"".join(bodies)] == ["KH1"]


def test_a_decision_made_while_the_store_is_made_anew_has_its_view(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, at = desk.hub, datetime.now(UTC)
    hub.ledger.clients.add(name="a", third_party="Ann", at=at, by="test")
    desk.deliver(ipas.marks(ipas.mark("KH2", filed="2019-05-02")))

    def decide(point: str) -> None:
        if point == "rebuild.whole":
            share(hub, at)

    monkeypatch.setattr(rebuilding, "reach", decide)
    made = CliRunner().invoke(app, ["rebuild-serving", "--home", str(hub.home.root)])
    assert made.exit_code == 0, made.output
    (body,) = hub.serving.page("KH", TM, RECENT, Filters(), limit=9).bodies
    assert b'"KH2"' in body
