"""History: as it was known, what changed, every version, why not here, and back to the bytes."""

import hashlib
import json
import secrets
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.service import Service
from connectors.cursors import Cursors
from connectors.history.absence import why
from connectors.history.lineage import lineage_of
from connectors.history.points import identifier_of, point_of
from connectors.history.states import changes_between, record_as_of, register_as_of
from connectors.history.versions import versions_of
from connectors.receipts.journal import Journal
from iphub.cli import app
from ipregister.deliveries import Kind, State
from ipregister.errors import InvalidRequest, StoreError
from ipregister.model import Disclosure, Right
from ipregister.roles import Role
from pipelines.reverting import revert

FULL, MARKS = Kind.FULL_EXTRACTION, Right.TRADEMARKS
ONE, TWO, THREE, FOUR, FIVE = (f"KH/9000{n}/2019" for n in range(1, 6))


@pytest.fixture(scope="module")
def past(shared_desk: Any, ipas: Any) -> Any:
    """A hub with a past: first, changed, held and vanished, one that came late, one to wait."""
    desk = shared_desk

    def day(number: int, *records: str, kind: Kind = Kind.UPDATE) -> str:
        name = f"KH_202611{number:02}.zip"
        archive = ipas.zipped({"in/marks.xml": ipas.marks(*records)})
        return desk.deliver(archive, kind=kind, names=(name,)).deliveryId  # type: ignore[no-any-return]

    first = day(1, ipas.mark(ONE), ipas.mark(TWO), ipas.mark(THREE, "A :tiger: B"), kind=FULL)
    changed = day(3, ipas.mark(ONE, status="Registered", applicant="Nirvath"))
    foreign = ipas.mark(FOUR, "HELD", office="VN")
    again = ipas.mark(ONE, status="Registered", applicant="Nirvath")
    second = day(5, again, ipas.mark(TWO), foreign, kind=FULL)
    late = day(2, ipas.mark(ONE, "LATE"), ipas.mark(TWO, "LATE"))
    broken = desk.deliver(
        ipas.marks(ipas.mark("KH/90009/2019"), ipas.mark("")), names=("KH_20261106.xml",)
    ).deliveryId
    return SimpleNamespace(
        desk=desk, hub=desk.hub, first=first, changed=changed, second=second, late=late,
        broken=broken,
    )  # fmt: skip


def words(found: dict[str, Any] | None) -> str | None:
    if found is None:
        return None
    return json.loads(bytes(found["record"]))["markVerbalElements"][0]["text"]  # type: ignore[no-any-return]


def of(past: Any, number: str, point: str) -> dict[str, Any] | None:
    return record_as_of(
        past.hub, "KH", MARKS, identifier_of("KH", MARKS, number),
        point_of(past.hub, "KH", MARKS, point),
    )  # fmt: skip


def test_a_record_is_shown_as_it_was_known(past: Any) -> None:
    first, now = of(past, ONE, past.first), of(past, ONE, past.late)
    assert first is not None
    assert now is not None
    assert (first["deliveryId"], now["deliveryId"]) == (past.first, past.changed)
    assert json.loads(bytes(now["record"])) == past.desk.served()[ONE]
    assert json.loads(bytes(first["record"]))["officeStatus"] == "Filed"
    assert of(past, THREE, past.changed) is not None
    assert of(past, THREE, past.second) is None  # it had vanished by then
    assert of(past, ONE, "2026-01-01") is None  # nothing was known yet


def test_what_came_late_was_not_known_before_it_came(past: Any) -> None:
    assert words(of(past, TWO, past.second)) == "LUMATIVA"
    # The late version lies before the second extraction, which has the first one again.
    now = of(past, TWO, past.late)
    assert (words(now), now and now["deliveryId"]) == ("LUMATIVA", past.second)


def test_the_register_of_a_day_can_be_counted_and_kept(past: Any, tmp_path: Path) -> None:
    point = point_of(past.hub, "KH", MARKS, past.changed)
    found = register_as_of(past.hub, "KH", MARKS, point, limit=2, output=tmp_path / "all.parquet")
    assert (found["records"], len(found["items"]), found["more"]) == (3, 2, True)
    with past.hub.register.connect() as con:
        rows = con.execute(
            f"SELECT applicationNumber, officeStatus FROM '{tmp_path}/all.parquet' ORDER BY 1"
        ).fetchall()
    assert rows == [(ONE, "Registered"), (TWO, "Filed"), (THREE, "Filed")]


def test_what_changed_between_two_points_is_named_by_class(past: Any) -> None:
    def between(start: str, end: str) -> tuple[dict[str, int], dict[str, Any]]:
        points = [point_of(past.hub, "KH", MARKS, said) for said in (start, end)]
        found = changes_between(past.hub, "KH", MARKS, *points, limit=10)
        by_number = {
            each["applicationNumber"]: (each["change"], set(each["changedClasses"]))
            for each in found["items"]
        }
        return found["counts"], by_number

    counts, items = between(past.first, past.second)
    assert counts == {"appeared": 0, "changed": 1, "disappeared": 1}
    assert items[ONE] == ("changed", {"stakeholder", "status_change"})
    assert items[THREE][0] == "disappeared"
    assert between(past.second, past.late)[0] == {"appeared": 0, "changed": 0, "disappeared": 0}
    assert between("2026-01-01", past.first)[0]["appeared"] == 3


def test_every_version_has_its_delivery_and_what_it_changed(past: Any) -> None:
    found = versions_of(past.hub, "KH", MARKS, identifier_of("KH", MARKS, TWO))
    assert [(each["deliveryId"], each["op"], each["amendedBy"]) for each in found] == [
        (past.first, "insert", None),
        (past.late, "update", None),
        (past.second, "update", past.late),
    ]
    assert [each["changedClasses"] for each in found] == [
        ["core", "stakeholder", "status_change"], ["core"], ["core"],
    ]  # fmt: skip
    assert found[2]["source"]["member"] == "in/marks.xml"


def test_folding_forgets_nothing(past: Any) -> None:
    before = versions_of(past.hub, "KH", MARKS, identifier_of("KH", MARKS, TWO))
    past.hub.register.fold(MARKS, "KH")
    past.hub.register.vacuum(MARKS)
    assert versions_of(past.hub, "KH", MARKS, identifier_of("KH", MARKS, TWO)) == before


@pytest.mark.parametrize(
    ("number", "verdict", "told"),
    [
        (ONE, "visible", "It is published, as delivery {changed} brought it."),
        (THREE, "vanished", "Delivery {second} no longer has it; it has vanished."),
        (FOUR, "held", "Its only version, of delivery {second}, is held by ALL.PKG.008."),
        (FIVE, "perhaps_rejected", "No delivery has it, but some records (1 place) could not"),
    ],
)
def test_a_record_that_is_not_here_has_a_reason(
    number: str, verdict: str, told: str, past: Any
) -> None:
    found = why(past.hub, "KH", MARKS, number)
    assert found["verdict"] == verdict
    assert found["sentence"].startswith(told.format(**vars(past)))
    if verdict == "held":
        (finding,) = found["findings"]
        assert (finding["field"], finding["value"], finding["line"]) == ("officeCode", "VN", 6)
    if verdict == "perhaps_rejected":
        (place,) = found["places"]
        assert (place["deliveryId"], place["file"], place["ruleCode"]) == (
            past.broken, "KH_20261106.xml", "ALL.CMP.001",
        )  # fmt: skip


def test_what_a_third_party_may_not_read_has_its_authorization_as_reason(past: Any) -> None:
    ledger, at = past.hub.ledger, past.desk.now
    ledger.clients.add(name="one", third_party="Acme", at=at, by="test")

    def told() -> str:
        found = why(past.hub, "KH", MARKS, ONE, third_party="Acme", at=at)
        return f"{found['verdict']}: {found['sentence'].partition('but ')[2]}"

    assert told() == "withheld: Acme may not read it: no authorization."
    for rights, reason in (({"patents"}, "right not shared"), ({"trademarks"}, "")):
        allowed = {Right(name): frozenset({Disclosure.STAKEHOLDER}) for name in rights}
        ledger.authorizations.set("KH", "Acme", allowed, None, at, "test")
        if reason:
            assert told() == f"withheld: Acme may not read it: {reason} (authorization version 1)."
        else:
            assert told() == "visible: "
    with pytest.raises(InvalidRequest, match="no third party"):
        why(past.hub, "KH", MARKS, ONE, third_party="Nobody", at=at)


def test_a_delivery_that_is_held_or_withdrawn_or_deletes_is_named(desk: Any, ipas: Any) -> None:
    every = [ipas.mark(f"KH/{80000 + n}/2019") for n in range(60)]
    desk.deliver(ipas.marks(*every), kind=FULL, names=("KH_20261101.xml",))
    held = desk.deliver(ipas.marks(ipas.mark(ONE)), kind=FULL, names=("KH_20261102.xml",))
    assert held.state is State.HELD
    assert why(desk.hub, "KH", MARKS, ONE)["verdict"] == "in_held_delivery"
    desk.hub.ledger.deliveries.move(held.deliveryId, State.WITHDRAWN, desk.now, "KH")
    assert why(desk.hub, "KH", MARKS, ONE)["verdict"] == "withdrawn"
    assert why(desk.hub, "KH", MARKS, TWO)["verdict"] == "never_received"
    removal = ipas.mark("KH/80000/2019").replace(
        "<TradeMark>", '<TradeMark operationCode="Delete">'
    )
    gone = desk.deliver(ipas.marks(removal), names=("KH_20261103.xml",))
    found = why(desk.hub, "KH", MARKS, "KH/80000/2019")
    assert found["sentence"] == f"Delivery {gone.deliveryId} deleted it."
    waiting = desk.hand_in(ipas.marks(ipas.mark(TWO)))
    assert waiting.deliveryId in why(desk.hub, "KH", MARKS, TWO)["sentence"]


def test_what_a_newer_delivery_took_out_of_one_that_was_taken_back_came_with_that_one(
    desk: Any, ipas: Any
) -> None:
    both = ipas.marks(ipas.mark(ONE), ipas.mark(TWO))
    first = desk.deliver(both, kind=FULL, names=("KH_20261101.xml",))
    desk.deliver(ipas.marks(ipas.mark(TWO)), kind=FULL, names=("KH_20261102.xml",))
    assert why(desk.hub, "KH", MARKS, ONE)["verdict"] == "vanished"
    revert(desk.hub, first.deliveryId, by="Som", reason="a test file", at=desk.now)
    found = why(desk.hub, "KH", MARKS, ONE)
    assert found["sentence"] == f"It came with delivery {first.deliveryId}, which was taken back."


def test_a_field_leads_back_to_the_line_the_office_wrote(past: Any) -> None:
    record_id = identifier_of("KH", MARKS, ONE)
    whole = lineage_of(past.hub, "KH", MARKS, record_id)
    assert whole is not None
    assert (whole["file"], whole["member"], whole["line"]) == ("KH_20261103.zip", "in/marks.xml", 2)
    assert whole["text"].startswith("<TradeMark><RegistrationOfficeCode>KH")
    found = lineage_of(past.hub, "KH", MARKS, record_id, "applicants[0].names")
    assert found is not None
    assert (found["line"], found["value"][0]["text"]) == (3, "Nirvath")
    assert found["elementPath"].startswith("TradeMark/ApplicantDetails/Applicant[1]/")
    assert "Nirvath" in found["text"]
    text = lineage_of(past.hub, "KH", MARKS, record_id, "applicants[0].names[0].text")
    assert text is not None
    assert (text["elementPath"], text["value"]) == (found["elementPath"], "Nirvath")
    with pytest.raises(InvalidRequest, match="no 'inventors' there"):
        lineage_of(past.hub, "KH", MARKS, record_id, "inventors")


def test_an_empty_element_counts_on_the_way_back(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark(ONE)).replace("<Applicant>", "<Applicant/><Applicant>"))
    record_id = identifier_of("KH", MARKS, ONE)
    found = lineage_of(desk.hub, "KH", MARKS, record_id, "applicants[0].names[0].text")
    assert found is not None
    assert found["elementPath"].startswith("TradeMark/ApplicantDetails/Applicant[2]/")


def test_of_records_on_one_line_each_leads_back_to_itself(desk: Any, ipas: Any) -> None:
    marks = (ipas.mark(ONE, "FIRST"), ipas.mark(TWO, "OLD"), ipas.mark(TWO, "SECOND"))
    desk.deliver(ipas.marks(*marks, ipas.mark(THREE, "THIRD")).replace("\n", ""))
    for number, word in ((ONE, "FIRST"), (TWO, "SECOND"), (THREE, "THIRD")):
        record_id = identifier_of("KH", MARKS, number)
        found = lineage_of(desk.hub, "KH", MARKS, record_id, "markVerbalElements[0].text")
        assert found is not None
        assert (found["line"], found["value"]) == (1, word)


@pytest.mark.parametrize("said", ["yesterday", "KH-20260101-0001", "", "9999-12-31T23:59:59-12:00"])
def test_what_is_no_point_is_refused_with_an_example(said: str, past: Any) -> None:
    with pytest.raises(InvalidRequest, match="2026-11-22T05:30:00Z"):
        point_of(past.hub, "KH", MARKS, said)


@pytest.mark.parametrize("said", ["2569-11-22", "2569-11-22T05:30:00Z"])
def test_a_year_of_another_era_is_no_point_far_ahead(said: str, past: Any) -> None:
    with pytest.raises(InvalidRequest, match="Gregorian"):
        point_of(past.hub, "KH", MARKS, said)


def test_an_instant_counts_in_its_own_offset(past: Any) -> None:
    at = past.hub.ledger.publications.instants("KH", MARKS)[past.first]
    before = (at - timedelta(seconds=1)).isoformat()
    assert of(past, ONE, before) is None
    assert of(past, ONE, at.isoformat().replace("+00:00", "Z")) is not None


def test_where_the_register_of_a_day_cannot_be_kept_is_said(past: Any, tmp_path: Path) -> None:
    point = point_of(past.hub, "KH", MARKS, past.first)
    with pytest.raises(StoreError, match="cannot be written"):
        register_as_of(past.hub, "KH", MARKS, point, limit=1, output=tmp_path / "nowhere" / "r")


def test_the_command_line_answers_in_text_and_json(past: Any) -> None:
    def run(*words: str) -> Any:
        command = ["history", *words, "--office", "KH", "--right", "trademarks"]
        return CliRunner().invoke(app, [*command, "--home", str(past.hub.home.root)])

    told = run("why", THREE)
    assert (told.exit_code, "has vanished" in told.stdout) == (1, True)
    unknown = run("record", "KH/1/1999")
    assert (unknown.exit_code, "No delivery brought KH/1/1999" in unknown.stdout) == (1, True)
    listed = json.loads(run("record", ONE, "--format", "json").stdout)
    assert [each["op"] for each in listed["items"]] == ["insert", "update", "update"]
    then = json.loads(run("as-of", past.first, "--number", ONE, "--format", "json").stdout)
    assert then["record"]["officeStatus"] == "Filed"
    # As the office wrote it, and in one line: people copy it from there.
    _, record = run("as-of", past.first, "--number", THREE).stdout.splitlines()
    assert json.loads(record)["markVerbalElements"][0]["text"] == "A :tiger: B"
    changes = run("changes", "--from", past.first, "--to", past.second).stdout
    assert "1 changed" in changes
    assert "stakeholder, status_change" in changes
    assert "in/marks.xml, line 3" in run("lineage", ONE, "--field", "applicants[0].names").stdout


def test_a_list_that_is_not_whole_says_so(past: Any) -> None:
    def run(*command: str) -> str:
        where = ("--office", "KH", "--right", "trademarks", "--home", str(past.hub.home.root))
        return CliRunner().invoke(app, ["history", *command, *where]).stdout

    as_of = ("as-of", past.first, "--limit")
    assert "These are the first 2: --limit lists more" in run(*as_of, "2")
    assert "--limit" not in run(*as_of, "3")
    changes = ("changes", "--from", "2026-01-01", "--to", past.first, "--limit")
    assert "There are more: add --after" in run(*changes, "2")
    assert "--after" not in run(*changes, "3")


def test_an_office_asks_the_same_over_http(past: Any, tmp_path: Path) -> None:
    hub, at = past.hub, past.desk.now
    service = Service(
        hub.ledger, hub.serving, Cursors(b"k" * 32), "http://hub", lambda: at, hub=hub,
        receipts=Journal(tmp_path),
    )  # fmt: skip
    http = TestClient(create_app(service))

    def ask(
        role: Role, what: str, office: str = "KH", scope: str | None = None, **values: str
    ) -> httpx.Response:
        who = {"third_party": "Acme"} if role is Role.THIRD_PARTY else {"office": office}
        client, _ = hub.ledger.clients.add(name="a", role=role, at=at, by="test", **who)
        token = secrets.token_hex()
        digest = hashlib.sha256(token.encode()).digest()
        hub.ledger.tokens.issue(client.clientId, digest, at + timedelta(minutes=5), at, scope)
        headers = {"Authorization": f"Bearer {token}"}
        return http.get(f"/v1/offices/KH/trademarks/history/{what}", params=values, headers=headers)

    viewer = Role.OFFICE_VIEWER
    assert ask(Role.THIRD_PARTY, "record", number=ONE).status_code == 404
    assert [each["op"] for each in ask(viewer, "record", number=ONE).json()["items"]] == [
        "insert", "update", "update",
    ]  # fmt: skip
    then = ask(viewer, "as-of", at=past.first, number=ONE).json()
    assert (then["record"]["officeStatus"], then["deliveryId"]) == ("Filed", past.first)
    assert ask(viewer, "as-of", at=past.first).json()["records"] == 3
    assert ask(viewer, "as-of", at="2026-01-01", number=ONE).status_code == 404
    between = {"from": past.first, "to": past.second}
    assert ask(viewer, "changes", **between).json()["counts"]["changed"] == 1
    assert ask(viewer, "why", number=THREE).json()["verdict"] == "vanished"
    assert ask(viewer, "lineage", number=ONE, field="applicants[0].names").json()["line"] == 3
    assert ask(viewer, "lineage", number="KH/1/1").status_code == 404
    assert ask(viewer, "record").status_code == 400
    # Who reads no authorizations learns nothing of third parties, and others nothing at all.
    narrow = ask(viewer, "why", scope="deliveries:read", number=ONE, thirdParty="Acme")
    assert narrow.status_code == 403
    asked = ask(Role.OFFICE_AUTHORIZER, "why", number=ONE, thirdParty="Acme").json()
    assert asked["verdict"] in ("visible", "withheld")
    assert ask(viewer, "record", office="VN", number=ONE).status_code == 404


def test_a_newer_version_that_is_held_is_told_of_a_record_that_is_here(
    desk: Any, ipas: Any
) -> None:
    first = desk.deliver(ipas.marks(ipas.mark(ONE)))
    others = [ipas.mark(f"KH/{n}/2019") for n in range(12)]
    newer = desk.deliver(ipas.marks(ipas.mark(ONE, "CHANGED", office="VN"), *others))
    found = why(desk.hub, "KH", MARKS, ONE)
    assert found["verdict"] == "visible"
    assert found["sentence"] == (
        f"It is published, as delivery {first.deliveryId} brought it. A newer version, of delivery "
        f"{newer.deliveryId}, is held by ALL.PKG.008."
    )
