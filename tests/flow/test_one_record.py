"""The journey of one record, executable: read this file from top to bottom.

A trademark of Cambodia, a patent of Thailand and a design of Viet Nam travel together from
the offices' files to the bytes a third party reads. The hub is real; only the doors (SFTP,
HTTP) and the API are missing, they have tests of their own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipregister.authorizations import Grant
from ipregister.deliveries import Receipt, State
from ipregister.identifiers import record_id, record_key
from ipregister.model import Disclosure, Right
from pipelines.running import process_until_idle

FIXTURES = Path(__file__).parents[1] / "fixtures"
LOGO = b"\x89PNG\r\n\x1a\nLUMATIVA"
TRADEMARK = ("KH", Right.TRADEMARKS, "KH/90001/2019")
PATENT = ("TH", Right.PATENTS, "1801090001")
DESIGN = ("VN", Right.DESIGNS, "3-2021-90001")


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, ipas: Any) -> Iterator[Any]:
    """Three offices hand in one file each; one Dagster run takes them all."""
    desk = ipas.open_desk(tmp_path_factory.mktemp("journey") / "hub")
    packed = ipas.zipped(
        {
            "KH900012019/KH900012019_biblio.xml": _read("kh/trademarks/domestic.xml"),
            "KH900012019/ATTACHMENT/logo.png": LOGO,
        }
    )
    handed_in = [
        desk.hand_in(packed, office="KH", names=("KH_20261120_0001.zip",)),
        desk.hand_in(_read("th/patents/single.xml"), office="TH", right=Right.PATENTS),
        desk.hand_in(_read("vn/designs/single.xml"), office="VN", right=Right.DESIGNS),
    ]
    waited = [delivery.state for delivery in handed_in]
    process_until_idle(desk.hub)
    done = [desk.hub.ledger.deliveries.get(each.deliveryId) for each in handed_in]
    yield SimpleNamespace(desk=desk, hub=desk.hub, done=done, waited=waited, packed=packed)
    desk.hub.close()


def _read(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def _record(journey: Any, place: tuple[str, Right, str], *classes: Disclosure) -> dict[str, Any]:
    office, right, number = place
    grant = Grant(frozenset({Disclosure.CORE, *classes}))
    body = journey.hub.serving.record(
        office, right, record_id(record_key(office, right, number)), grant
    )
    return json.loads(body)  # type: ignore[no-any-return]


# 1. What the office sent lies in landing, byte for byte, under its own hash.


def test_the_bytes_are_kept_as_they_came(journey: Any) -> None:
    (file,) = journey.done[0].files
    assert file.name == "KH_20261120_0001.zip"
    assert journey.hub.landing.path(file.sha256).read_bytes() == journey.packed


# 2. The ledger has a delivery for it, and every step it took.


def test_the_ledger_tells_every_step(journey: Any) -> None:
    assert journey.waited == [State.RECEIVED] * 3
    steps = journey.hub.ledger.deliveries.events(journey.done[0].deliveryId)
    assert [step.state for step in steps] == [State.RECEIVED, State.CHECKING, State.PUBLISHED]
    assert journey.hub.ledger.verify() is None


# 3. Read and map: the office's words become the register's, whatever the format.


def test_one_vocabulary_for_every_office_and_right(journey: Any) -> None:
    said = {
        place[0]: (record["officeStatus"], record["status"], record["statusGroup"])
        for place in (TRADEMARK, PATENT, DESIGN)
        for record in [_record(journey, place, Disclosure.STATUS_CHANGE)]
    }
    assert said == {
        "KH": ("Registered", "registered", "registered"),
        "TH": ("Granted", "registered", "registered"),
        "VN": ("Registered", "registered", "registered"),
    }


def test_a_trademark_is_what_its_file_says(journey: Any) -> None:
    record = _record(journey, TRADEMARK)
    assert record["st13"] == "KH502019000090001"
    assert record["markFeature"] == "combined"
    assert record["markVerbalElements"] == [
        {"text": "ខ្យល់ដើមឆ្នាំ", "languageCode": "km"},
        {"text": "LUMATIVA", "languageCode": "en"},
    ]
    assert [group["classNumber"] for group in record["goodsServices"]] == [30]
    assert [each["symbol"] for each in record["classifications"]] == ["01.03.01", "06.01.02"]
    (image,) = record["images"]
    assert image["memberPath"] == "KH900012019/ATTACHMENT/logo.png"
    assert (image["bytes"], image["mediaType"]) == (len(LOGO), "image/png")


def test_a_patent_is_what_its_file_says(journey: Any) -> None:
    record = _record(journey, PATENT, Disclosure.STAKEHOLDER)
    assert [title["languageCode"] for title in record["titles"]] == ["th", "en"]
    assert [each["symbol"] for each in record["classifications"]] == ["C02F 1/28", "C02F 1/44"]
    assert record["claimsCount"] == 11
    assert [each["names"][0]["text"] for each in record["inventors"]] == [
        "ดาราวสันต์ กานต์นที",
        "วนาสายรุ้ง กานต์นที",
    ]


def test_a_design_is_what_its_file_says(journey: Any) -> None:
    record = _record(journey, DESIGN)
    (design,) = record["designs"]
    assert design["titles"] == [{"text": "Dép", "languageCode": "vi"}]
    assert design["classifications"] == [{"scheme": "locarno", "edition": "14", "symbol": "02-04"}]
    assert [view["fileName"] for view in design["views"]] == [
        "ATTACHMENT/view_1_1.png",
        "ATTACHMENT/view_1_2.png",
    ]


# 4. Check: what is wrong is a finding with its place in the office's own file.


def test_missing_pictures_are_told_with_file_line_and_remedy(journey: Any) -> None:
    first, second = journey.desk.findings(journey.done[2])
    assert first["ruleCode"] == second["ruleCode"] == "ALL.PKG.011"
    assert first["field"] == "designs[0].views[0].fileName"
    assert first["value"] == "ATTACHMENT/view_1_1.png"
    assert first["line"] == _line_of("vn/designs/single.xml", "view_1_1.png")
    assert first["elementPath"].endswith("Design[1]/DesignRepresentationBag/"
        "DesignRepresentation/ViewBag/View[1]/FileName")  # fmt: skip
    assert first["remedy"].startswith("Add the file")
    assert first["recordId"] == record_id(record_key(*DESIGN))
    assert journey.desk.findings(journey.done[0]) == []


def _line_of(fixture: str, text: str) -> int:
    lines = _read(fixture).decode().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


# 5. The register: one row in the log, with where it came from.


def test_the_log_knows_where_a_record_came_from(journey: Any) -> None:
    with journey.hub.register.connect() as con:
        journey.hub.register.define_log(con, Right.TRADEMARKS, "KH", "log")
        rows = con.execute(
            "SELECT op, held, deliveryId, source.member, source.line, changedClasses FROM log"
        ).fetchall()
    assert rows == [
        (
            "insert",
            False,
            journey.done[0].deliveryId,
            "KH900012019/KH900012019_biblio.xml",
            _line_of("kh/trademarks/domestic.xml", "<TradeMark>"),
            ["core", "stakeholder", "status_change"],
        )
    ]


# 6. The serving store: a third party gets the fragments it may see, joined, and no other byte.


def test_an_answer_is_its_allowed_fragments_joined(journey: Any) -> None:
    office, right, number = TRADEMARK
    name = record_id(record_key(*TRADEMARK))
    core = journey.hub.serving.record(office, right, name, Grant(frozenset({Disclosure.CORE})))
    whole = journey.hub.serving.record(office, right, name, Grant(frozenset(Disclosure)))
    assert core.startswith(
        b'{"recordId":"%s","officeCode":"KH","right":"trademarks",' % name.encode()
    )
    assert whole.startswith(core[:-1] + b',"applicants":[{"names":[{"text":"')
    assert json.loads(core)["applicationNumber"] == number
    for secret in (b"Veldara", b"Navavance", b"registered", b"Phnom Penh"):
        assert secret in whole
        assert secret not in core


def test_the_feed_has_one_entry_per_record(journey: Any) -> None:
    places = (TRADEMARK, PATENT, DESIGN)
    grants = {(office, right): Grant(frozenset({Disclosure.CORE})) for office, right, _ in places}
    changes = journey.hub.serving.changes(grants, None, 10)
    told = [json.loads(item) for item in changes.items]
    assert [(each["changeType"], each["cause"], each["recordId"]) for each in told] == [
        ("upsert", "source", record_id(record_key(*place))) for place in places
    ]
    assert changes.more is False
    assert journey.hub.serving.totals() == dict.fromkeys(grants, 1)


# 7. The receipt: what became of every record.


def test_the_receipts_add_up(journey: Any) -> None:
    assert [delivery.receipt for delivery in journey.done] == [
        Receipt(recordsRead=1, accepted=1, inserted=1)
    ] * 3
    assert [delivery.state for delivery in journey.done] == [
        State.PUBLISHED,
        State.PUBLISHED,
        State.PUBLISHED_WITH_FINDINGS,
    ]
    assert [delivery.findings.get("error", 0) for delivery in journey.done] == [0, 0, 2]
