"""A record is told as taken away to who could read it, by when it was, and to nobody else."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.serving_store import ServingStore
from connectors.views import authorize
from iphub import decisions
from iphub.cli import app
from ipregister.authorizations import Authorization, Decision, Grant
from ipregister.deliveries import Kind, State
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

TM = Right.TRADEMARKS
ALL = Grant(frozenset(Disclosure))
SOME = replace(ALL, rule=RowRule(applicationDateFrom=datetime(2018, 1, 1).date()))  # noqa: DTZ001 - a day


def share(desk: Any, grant: Grant, name: str) -> Grant:
    """Let a third party read from now on; return its grant."""
    hub = desk.hub
    hub.ledger.clients.add(name=name, third_party=name, at=desk.now, by="test")
    decision = Decision({TM: grant})
    decided: Authorization = authorize(
        *(hub.ledger, hub.serving),
        office="KH",
        third_party=name,
        decision=decision,
        clock=lambda: desk.now,
        by="test",
    )
    return decided.grants[TM]


def rebuilt(desk: Any) -> ServingStore:
    """Make the serving store anew, as an operator does."""
    made = CliRunner().invoke(app, ["rebuild-serving", "--home", str(desk.hub.home.root)])
    assert made.exit_code == 0, made.output
    return ServingStore(desk.hub.home.serving)


@pytest.mark.parametrize("grant", [ALL, SOME], ids=["all", "some"])
def test_what_a_release_takes_away_is_gone_for_who_could_read_it_until_then(
    desk: Any, ipas: Any, grant: Grant
) -> None:
    numbers = [f"KH/{n}/2019" for n in range(90_001, 90_101)]
    desk.deliver(ipas.marks(*map(ipas.mark, numbers)), kind=Kind.FULL_EXTRACTION)
    name = desk.served()[numbers[-1]]["recordId"]
    held = desk.deliver(ipas.marks(*map(ipas.mark, numbers[:40])), kind=Kind.FULL_EXTRACTION)
    assert held.state is State.HELD
    desk.now += timedelta(hours=1)
    early = share(desk, grant, "Ann")  # behind the arrival, before the release
    assert desk.hub.serving.record("KH", TM, name, early)
    desk.now += timedelta(hours=1)
    decisions.decide(desk.hub, held.deliveryId, State.CHECKING, by="Som", reason="", at=desk.now)
    desk.process(held)
    desk.now += timedelta(hours=1)
    late = share(desk, grant, "Ben")

    def told(serving: ServingStore) -> list[bool]:
        return [serving.is_gone("KH", TM, name, each) for each in (early, late)]

    assert told(desk.hub.serving) == [True, False]
    if grant is ALL:  # a view made anew has only what lives
        assert told(rebuilt(desk)) == [True, False]


def test_what_is_taken_away_while_a_view_is_made_is_not_told(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = "KH/90001/2019", "KH/90002/2019"
    desk.deliver(ipas.marks(ipas.mark(one), ipas.mark(two)), kind=Kind.FULL_EXTRACTION)
    name, prepare = desk.served()[one]["recordId"], ServingStore.prepare

    def slow(*arguments: Any) -> None:
        prepare(*arguments)
        desk.deliver(ipas.marks(ipas.mark(two)), kind=Kind.FULL_EXTRACTION)
        desk.now += timedelta(hours=1)

    monkeypatch.setattr(ServingStore, "prepare", slow)
    grant = share(desk, SOME, "Ann")
    assert desk.hub.serving.record("KH", TM, name, grant) is None
    assert not desk.hub.serving.is_gone("KH", TM, name, grant)


@pytest.mark.parametrize("grant", [ALL, SOME], ids=["all", "some"])
def test_what_was_taken_away_while_the_clock_was_ahead_is_not_told_to_who_came_later(
    desk: Any, ipas: Any, grant: Grant
) -> None:
    one, two = "KH/90001/2019", "KH/90002/2019"
    desk.deliver(ipas.marks(ipas.mark(one), ipas.mark(two)), kind=Kind.FULL_EXTRACTION)
    name = desk.served()[one]["recordId"]
    early = share(desk, grant, "Ann")
    desk.now += timedelta(days=400)
    desk.deliver(ipas.marks(ipas.mark(two)), kind=Kind.FULL_EXTRACTION)
    desk.now -= timedelta(days=399)
    late = share(desk, grant, "Ben")
    told = [desk.hub.serving.is_gone("KH", TM, name, each) for each in (early, late)]
    assert told == [True, False]
