"""Quality reports and coverage over HTTP: in full for the office, counts for coordinators."""

import json
from datetime import timedelta
from typing import Any

import pytest

from ipregister.deliveries import Kind
from ipregister.roles import Role

REPORTS, COVERAGE = "/v1/offices/KH/quality-reports", "/v1/offices/KH/coverage"


@pytest.fixture(scope="module")
def sent(shared_callers: Any, ipas: Any) -> Any:
    """Nine marks of 2019, two of 2020 of which one is held, one without a number."""
    desk = shared_callers.desk
    records = [ipas.mark(f"KH/9000{n}/2019", applicant="Sok &amp; Daughters") for n in range(9)]
    records += [ipas.mark("KH/80001/2020", filed="2020-01-02")]
    records += [ipas.mark("KH/80002/2020", filed="2020-01-02", office="TH"), ipas.mark("")]
    shared_callers.delivery = desk.deliver(ipas.marks(*records), kind=Kind.FULL_EXTRACTION)
    desk.deliver(ipas.marks(ipas.mark("KH/1/2001")), kind=Kind.TEST)
    desk.now += timedelta(days=3, hours=1)
    return shared_callers


def marks(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return next(one for one in answer.json()["items"] if one["right"] == "trademarks")


def test_coverage_counts_what_is_here(sent: Any) -> None:
    answer = sent.get(f"{COVERAGE}?fillRates=true")
    told, receipt = marks(answer), sent.delivery.receipt
    assert told["visible"] == len(sent.desk.served())
    assert (told["held"], told["received"]) == (
        receipt.held,
        receipt.accepted + receipt.held,
    )
    years = {one["year"]: one["records"] for one in told["byApplicationYear"]}
    assert sum(years.values()) == told["received"]
    assert years[2020] == 2
    assert told["lastDelivery"]["deliveryId"] == sent.delivery.deliveryId
    assert told["lastDelivery"]["ageDays"] == 3
    rates = told["fillRates"]
    assert (rates["applicationNumber"], rates["registrationNumber"]) == (1.0, 0.0)
    assert answer.json()["office"] == "KH"


def test_a_coordinator_gets_counts_that_point_to_nobody(sent: Any) -> None:
    full = marks(sent.get(COVERAGE))
    answer = sent.get(f"{COVERAGE}?fillRates=true", Role.COORDINATOR)
    told = marks(answer)
    assert "fillRates" not in told
    # Of 2020 there are two; told the rest of 2019, who knows the sum would know them.
    assert [(one["year"], one["records"]) for one in full["byApplicationYear"]] == [
        (2019, 9),
        (2020, 2),
    ]
    assert {one["records"] for one in told["byApplicationYear"]} == {None}
    assert {name: told[name] for name in ("received", "visible", "held")} == {
        name: full[name] for name in ("received", "visible", "held")
    }
    for hidden in ("KH/9000", "Sok", "LUMATIVA", "part0.xml"):
        assert hidden not in answer.text


def test_an_office_that_sent_nothing_has_zeros(sent: Any) -> None:
    answer = sent.get("/v1/offices/VN/coverage", office="VN")
    for told in answer.json()["items"]:
        assert (told["received"], told["visible"], told["held"]) == (0, 0, 0)
        assert (told["byApplicationYear"], told["lastDelivery"]) == ([], None)


@pytest.mark.parametrize(
    ("accept", "media_type", "mark"),
    [
        ("*/*", "application/json", b'"items"'),
        ("text/html", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ("text/csv", "text/csv; charset=utf-8", b"ruleCode,severity"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", None, b"PK"),
    ],
)
def test_the_report_comes_in_the_form_asked_for(
    sent: Any, accept: str, media_type: str | None, mark: bytes
) -> None:
    answer = sent.get(REPORTS, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type or accept)
    assert mark in answer.content[:2_000]
    assert list(sent.desk.hub.home.root.glob(".report-*")) == []


def test_the_report_has_the_findings_of_the_last_delivery(sent: Any) -> None:
    report = json.loads(sent.get(f"{REPORTS}?right=trademarks", Role.OFFICE_VIEWER).content)
    of_delivery = next(
        one for one in report["items"] if one["deliveryId"] == sent.delivery.deliveryId
    )
    assert of_delivery["items"] == sent.desk.findings(sent.delivery)
    assert sent.get(f"{REPORTS}?right=seeds").status_code == 400
    assert sent.get(REPORTS, headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.OPERATOR])
def test_who_sees_all_offices_gets_a_reports_numbers_and_no_word_of_the_office(
    sent: Any, role: Role
) -> None:
    full = marks(sent.get(REPORTS))
    answer = sent.get(f"{REPORTS}?right=trademarks", role)
    told = marks(answer)
    numbers = ("receipt", "findings", "scores", "rules", "impact")
    assert {name: told[name] for name in numbers} == {name: full[name] for name in numbers}
    assert told["rules"]["items"]
    assert told.keys() & {"items", "files", "vocabulary", "hold", "reason", "receivedBy"} == set()
    for hidden in ("KH/80002", "part0.xml"):
        assert hidden in sent.get(REPORTS).text
        assert hidden not in answer.text
    for form in ("text/html", "text/csv"):
        assert sent.get(REPORTS, role, headers={"Accept": form}).status_code == 406


@pytest.mark.parametrize("path", [REPORTS, COVERAGE])
def test_reports_are_for_those_whose_role_may(sent: Any, path: str) -> None:
    for role in Role:
        expected = 404 if role is Role.THIRD_PARTY else 200
        assert sent.get(path, role).status_code == expected
    assert sent.get(path, office="LA").status_code == 404
