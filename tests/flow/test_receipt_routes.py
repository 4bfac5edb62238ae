"""Offices ask who read their records; coordinators get numbers, nobody else anything."""

import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.receipts.sealing import seal_days
from iphub.cli import app
from ipregister.model import Right
from ipregister.roles import Role

PATH = "/v1/offices/KH/access-receipts"
AUTHORIZER = Role.OFFICE_AUTHORIZER


@pytest.fixture
def read(callers: Any, ipas: Any) -> Any:
    """A hub whose third party Ann has read two records of KH: one alone, then both."""
    desk = callers.desk
    desk.deliver(ipas.marks(ipas.mark("KH/1/2026"), ipas.mark("KH/2/2026")))
    callers.client(Role.THIRD_PARTY)
    rights: dict[Right, frozenset[Any]] = {Right.TRADEMARKS: frozenset()}
    desk.hub.ledger.authorizations.set("KH", "Ann", rights, None, desk.now, "test")
    page = callers.get("/v1/offices/KH/trademarks/records", Role.THIRD_PARTY).json()
    one = page["items"][0]["recordId"]
    desk.now += timedelta(days=1)
    callers.get(f"/v1/offices/KH/trademarks/records/{one}", Role.THIRD_PARTY)
    return callers, one, page["items"][1]["recordId"]


def test_an_office_sees_who_read_its_records_newest_first(read: Any) -> None:
    callers, one, other = read
    page = callers.get(f"{PATH}?limit=1", AUTHORIZER)
    (newest,) = page.json()["items"]
    assert (newest["thirdParty"], newest["route"], newest["records"]) == ("Ann", "record", 1)
    assert newest["authorizationVersion"] == 1
    rest = callers.get(page.links["next"]["url"], AUTHORIZER).json()
    assert [item["route"] for item in rest["items"]] == ["page"]
    assert "nextCursor" not in rest
    found = callers.get(f"{PATH}?recordId={other}", AUTHORIZER).json()["items"]
    assert [item["route"] for item in found] == ["page"]
    assert len(callers.get(f"{PATH}?recordId={one}", AUTHORIZER).json()["items"]) == 2
    named = callers.get(f"{PATH}/{newest['requestId']}", AUTHORIZER).json()
    assert named == {"records": [one], "retracted": []}


def test_a_reader_that_gives_all_its_requests_one_identifier_mixes_no_receipts(read: Any) -> None:
    callers, one, other = read
    items = callers.get(PATH, AUTHORIZER).json()["items"]
    ids = [item["requestId"] for item in items]
    assert all(name.startswith("the-same-one.") for name in ids)
    named = [callers.get(f"{PATH}/{name}", AUTHORIZER).json()["records"] for name in ids]
    assert named == [[one], sorted([one, other])]
    assert callers.get(f"{PATH}/the-same-one", AUTHORIZER).status_code == 404


def test_periods_are_days_and_end_with_the_last_one(read: Any) -> None:
    callers, _, _ = read
    today = callers.desk.now.date()
    before = today - timedelta(days=1)

    def routes(query: str) -> list[str]:
        items = callers.get(f"{PATH}?{query}", AUTHORIZER).json()["items"]
        return [item["route"] for item in items]

    assert routes(f"readFrom={today}") == ["record"]
    assert routes(f"readTo={before}") == ["page"]
    assert routes(f"readFrom={before}&readTo={today}&right=trademarks") == ["record", "page"]
    assert routes("thirdParty=Bob") == []
    wrong = callers.get(f"{PATH}?readFrom={today}&readTo={before}", AUTHORIZER)
    assert (wrong.status_code, wrong.json()["detail"]) == (400, "readTo: not before readFrom.")


def test_usage_is_numbers_and_coordinators_may_have_them(read: Any) -> None:
    callers, _, _ = read
    for role in (AUTHORIZER, Role.OFFICE_VIEWER, Role.COORDINATOR):
        (usage,) = callers.get(f"{PATH}/usage", role).json()["items"]
        assert (usage["answers"], usage["records"], usage["retractionsOpen"]) == (2, 2, 0)
    counts = callers.get(PATH, Role.COORDINATOR)
    assert counts.json() == callers.get(f"{PATH}/usage", AUTHORIZER).json()
    # What names a record or a request is not to be asked for either.
    for asked in ("?recordId=x", "?cursor=x"):
        assert callers.get(f"{PATH}{asked}", Role.COORDINATOR).status_code == 400
    assert callers.get(f"{PATH}/x", Role.COORDINATOR).status_code == 403
    assert callers.get(PATH, Role.THIRD_PARTY).status_code == 404
    assert callers.get(PATH, AUTHORIZER, office="TH").status_code == 404


def test_the_command_line_and_the_verification_know_the_receipts_too(read: Any) -> None:
    callers, one, _ = read
    hub = callers.desk.hub
    run = CliRunner().invoke
    asked = ["--home", str(hub.home.root), "--office", "KH", "--format", "json"]
    found = json.loads(run(app, ["receipts", "find", "--record", one, *asked]).stdout)
    assert [item["route"] for item in found["items"]] == ["record", "page"]
    usage = json.loads(run(app, ["receipts", "usage", *asked]).stdout)
    assert usage["items"][0]["records"] == 2
    seal_days(hub.home.receipts, hub.ledger, at=callers.desk.now + timedelta(days=9), by="test")
    verify = ["ledger", "verify", "--home", str(hub.home.root)]
    assert run(app, verify).exit_code == 0
    seal = next((hub.home.receipts / "sealed").glob("2*"))
    seal.rename(seal.with_name("elsewhere"))
    broken = run(app, verify)
    assert (broken.exit_code, "its files are not there" in broken.stdout) == (1, True)
