"""An office decides over HTTP who sees what: exactly what the preview said, from then on."""

from base64 import b64decode
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from connectors.ledger.authorizations import Authorizations
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow
from ipregister.model import Disclosure, Right, load_tables
from ipregister.roles import Role

TM = Right.TRADEMARKS
BASE = "/v1/offices/KH/authorizations"
ANN = f"{BASE}/Ann"
RECORDS = "/v1/offices/KH/trademarks/records"
WITHHOLDABLE = [name for name in Disclosure if name is not Disclosure.CORE]
MASKS = [list(held) for size in range(5) for held in combinations(WITHHOLDABLE, size)]
ROWS: list[dict[str, Any]] = [{}, {"publishedOnly": True, "kinds": ["individual"]}]
FORMS = ["application/x-ndjson", "text/csv", "application/xml", "application/vnd.apache.parquet"]


def record(name: str, *, published: bool, kind: str) -> ServingRow:
    row = {
        **{"recordId": name, "officeCode": "KH", "right": TM, "applicationNumber": name},
        **{"markKind": kind, "status": "filed"},
        "markDescriptions": [{"text": f"words of {name}", "languageCode": "en"}],
        "goodsServices": [{"classNumber": 5, "descriptions": [{"text": "tea of Sok"}]}],
        "applicants": [{"names": [{"text": f"Dara {name}", "languageCode": "en"}]}],
        "statusEvents": [{"category": "filed", "officeText": [{"text": "by Sok"}]}],
        "examinationEvents": [{"category": "examined"}],
        "documents": [{"fileName": f"{name}.pdf"}],
    }
    fragments = render_fragments(load_tables()[TM], row)
    filters = {"applicationNumber": name, "published": published, "kind": kind}
    return ServingRow(name, 1, name, fragments, **filters)  # type: ignore[arg-type]


@pytest.fixture
def office(callers: Any) -> Any:
    """Cambodia with three marks, and Ann, with whom it shares nothing yet."""
    callers.client(Role.THIRD_PARTY)
    rows = [
        record("a", published=True, kind="individual"),
        record("b", published=False, kind="individual"),
        record("c", published=True, kind="collective"),
    ]
    desk = callers.desk
    desk.hub.serving.publish(Publication("d1", "KH", TM, desk.now, rows))
    return callers


def proposal(withheld: list[str] | None = None, **right: Any) -> dict[str, Any]:
    return {
        "rights": [{"right": "trademarks", "withheld": withheld or [], **right}],
        "reason": "agreed in Phnom Penh",
    }


def put(office: Any, document: Any, version: int | None, of: str = "KH") -> Any:
    match = {} if version is None else {"If-Match": f'"{version}"'}
    return office.call("PUT", ANN, Role.OFFICE_AUTHORIZER, json=document, headers=match, office=of)


def preview(office: Any, document: Any, **sample: Any) -> Any:
    answer = office.post(
        f"{ANN}/preview", Role.OFFICE_AUTHORIZER, json=document | {"sample": sample}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_decision_is_made_seen_changed_and_taken_back(office: Any) -> None:
    assert office.get(ANN, Role.OFFICE_VIEWER).status_code == 404
    made = put(office, proposal(["stakeholder"], rows={"publishedOnly": True}), 0)
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    assert made.json()["rights"][0]["rows"] == {"publishedOnly": True}
    assert made.json()["reason"] == "agreed in Phnom Penh"
    seen = office.get(RECORDS, Role.THIRD_PARTY).json()["items"]
    assert [item["recordId"] for item in seen] == ["a", "c"]
    assert "applicants" not in seen[0]
    changed = put(office, proposal() | {"purpose": "search"}, 1)
    assert (changed.json()["version"], len(changed.json()["history"])) == (2, 1)
    again = put(office, proposal() | {"purpose": "search"}, 2)
    assert again.headers["etag"] == '"2"', "the same decision is no new version"
    ended = office.post(
        f"{ANN}/revoke",
        Role.OFFICE_AUTHORIZER,
        json={"reason": "it ended"},
        headers={"If-Match": '"2"'},
    )
    assert (ended.json()["revoked"], ended.json()["reason"]) == (True, "it ended")
    assert office.get(RECORDS, Role.THIRD_PARTY).status_code == 404
    listed = office.get(BASE, Role.OFFICE_DATA_MANAGER).json()["items"]
    assert [(item["thirdParty"], item["version"]) for item in listed] == [("Ann", 3)]
    entries = office.desk.hub.ledger.audit.entries(subject="KH:Ann")
    assert [entry.action.split(":")[1] for entry in entries] == ["set", "set", "revoked"]
    assert entries[1].before["rights"][0]["rows"] == {"publishedOnly": True}
    assert entries[1].after["rights"][0]["rows"] == {}


def test_a_decision_names_what_it_is_about(office: Any) -> None:
    missing = put(office, proposal(), None)
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    for version in (1, 7):
        assert put(office, proposal(), version).status_code == 412
    assert put(office, proposal(), 0).status_code == 200
    assert put(office, proposal(["stakeholder"]), 0).status_code == 412
    weak = {"If-Match": 'W/"1"'}
    again = office.call("PUT", ANN, Role.OFFICE_AUTHORIZER, json=proposal(), headers=weak)
    assert again.status_code == 412, "RFC 9110 §13.1.1: compared strongly"
    assert office.get(ANN, Role.OFFICE_VIEWER).json()["version"] == 1


@pytest.mark.parametrize(("method", "path"), [("PUT", ANN), ("POST", f"{ANN}/revoke")])
def test_of_two_who_decide_at_once_one_has_to_look_again(
    office: Any, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    assert put(office, proposal(), 0).status_code == 200
    ledger, seen = office.desk.hub.ledger, Authorizations.history

    def history(*args: Any) -> Any:
        versions = seen(*args)
        monkeypatch.undo()
        withheld = {Right.TRADEMARKS: [Disclosure.STAKEHOLDER]}
        ledger.authorizations.set("KH", "Ann", withheld, None, office.desk.now, "another")
        return versions

    monkeypatch.setattr(Authorizations, "history", history)
    body = proposal(["examination"]) if method == "PUT" else {"reason": "over"}
    sent = {"json": body, "headers": {"If-Match": '"1"'}}
    late = office.call(method, path, Role.OFFICE_AUTHORIZER, **sent)
    assert (late.status_code, late.json()["code"]) == (412, "changed_meanwhile")
    assert office.get(ANN, Role.OFFICE_VIEWER).json()["rights"][0]["withheld"] == ["stakeholder"]


def test_a_third_party_may_have_a_slash_in_its_name(office: Any) -> None:
    """``Nord A/S`` is a company of Denmark; ``Ann/certificate`` would be Ann's certificate."""
    ledger, now = office.desk.hub.ledger, office.desk.now
    for name in ("Nord A/S", "Nord A", "Ann/certificate"):
        ledger.clients.add(name="a", third_party=name, at=now, by="test")
    path = f"{BASE}/Nord%20A%2fS"
    send = {"json": proposal(["stakeholder"]), "headers": {"If-Match": '"0"'}}
    assert office.call("PUT", path, Role.OFFICE_AUTHORIZER, **send).status_code == 200
    (only,) = ledger.authorizations.list()
    assert only.thirdParty == "Nord A/S"
    assert office.get(path, Role.OFFICE_VIEWER).json()["thirdParty"] == "Nord A/S"
    shown = office.post(f"{path}/preview", Role.OFFICE_AUTHORIZER, json=proposal())
    assert shown.status_code == 200
    over = {"json": {"reason": "over"}, "headers": {"If-Match": '"1"'}}
    assert office.post(f"{path}/revoke", Role.OFFICE_AUTHORIZER, **over).status_code == 200
    put(office, proposal(), 0)
    assert office.get(f"{ANN}%2Fcertificate", Role.OFFICE_VIEWER).status_code == 404, "shares none"


def test_any_version_is_none_where_there_is_none(office: Any) -> None:
    """RFC 9110 §13.1.1: ``*`` fails where there is nothing yet."""
    anything = {"If-Match": "*"}
    made = office.call("PUT", ANN, Role.OFFICE_AUTHORIZER, json=proposal(), headers=anything)
    assert (made.status_code, made.json()["code"]) == (412, "changed_meanwhile")
    assert office.desk.hub.ledger.authorizations.list() == []


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OFFICE_AUTHORIZER])
def test_only_an_authorizer_decides(office: Any, role: Role) -> None:
    headers = {"If-Match": '"0"'}
    for method, path, body in (
        ("PUT", ANN, proposal()),
        ("POST", f"{ANN}/revoke", {"reason": "x"}),
        ("POST", f"{ANN}/preview", proposal()),
    ):
        answer = office.call(method, path, role, json=body, headers=headers)
        assert answer.status_code in (403, 404)
    foreign = put(office, proposal(), 0, of="LA")
    assert foreign.status_code == 404
    assert office.desk.hub.ledger.authorizations.list() == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"office": "LA"}, "."),
    ({"rights": []}, "rights"),
    ({"rights": "trademarks"}, "rights"),
    ({"rights": [{"right": "marks"}]}, "rights[0].right"),
    ({"rights": [{"right": "designs"}, {"right": "designs"}]}, "rights[1].right"),
    ({"rights": [{"right": "designs", "allowed": ["core"]}]}, "rights[0]"),
    (proposal(["core"]), "rights[0].withheld"),
    (proposal(freeText="no"), "rights[0].freeText"),
    (proposal(rows={"status": ["filed"]}), "rights[0].rows"),
    (proposal(rows={"publishedOnly": 1}), "rights[0].rows.publishedOnly"),
    (proposal(rows={"kinds": ["B1"]}), "rights[0].rows.kinds"),
    (proposal(rows={"applicationDateFrom": "2567"}), "rights[0].rows.applicationDateFrom"),
    # 2022 in Thailand: taken as it stands it shares everything filed in five centuries more.
    (proposal(rows={"applicationDateTo": "2565-12-31"}), "rights[0].rows.applicationDateTo"),
    # No kind ticked is not every kind.
    (proposal(rows={"kinds": []}), "rights[0].rows.kinds"),
    (proposal(rows={"filingRoutes": []}), "rights[0].rows.filingRoutes"),
    ({"rights": [{"right": "patents", "rows": {"kinds": []}}]}, "rights[0].rows.kinds"),
    (
        proposal(rows={"applicationDateFrom": "2026-02-01", "applicationDateTo": "2026-01-01"}),
        "rights[0].rows.applicationDateTo",
    ),
    ({"rights": [{"right": "designs", "rows": {"kinds": ["x"]}}]}, "rights[0].rows.kinds"),
    ({"rights": [{"right": "patents", "rows": {"kinds": ["b"]}}]}, "rights[0].rows.kinds"),
    ({"validFrom": "2026-13-01"}, "validFrom"),
    ({"validFrom": "2027-02-01", "validUntil": "2027-01-01"}, "validUntil"),
    ({"termsOfUse": "anything"}, "termsOfUse"),
    ({"purpose": " "}, "purpose"),
    ({"purpose": "\x1b[2J"}, "purpose"),
    ({"purpose": "a\u202eb"}, "purpose"),
    ({"purpose": "\u200b"}, "purpose"),
    ({"allowedAddresses": ["192.0.2.1/24"]}, "allowedAddresses"),
    ({"allowedAddresses": ["fe80::1%eth0"]}, "allowedAddresses"),
    ({"allowedAddresses": [3221225985]}, "allowedAddresses"),
    # Nothing where a condition stands is not no condition.
    ({"allowedAddresses": None}, "allowedAddresses"),
    (proposal(rows={"applicationDateFrom": None}), "rights[0].rows.applicationDateFrom"),
    ({"reason": None}, "reason"),
]


@pytest.mark.parametrize(("change", "member"), WRONG, ids=lambda each: str(each)[:60])
def test_a_wrong_member_is_named_and_nothing_saved(
    office: Any, change: dict[str, Any], member: str
) -> None:
    answer = put(office, proposal() | change, 0)
    assert answer.status_code == 400
    assert [error["member"] for error in answer.json()["errors"]] == [member]
    assert office.desk.hub.ledger.authorizations.list() == []


def test_reasons_are_lines_in_the_offices_own_script(office: Any) -> None:
    khmer = "តាម\u200bកិច្ចព្រមព្រៀង"
    assert put(office, proposal() | {"reason": f" {khmer}\n2026 "}, 0).json()["reason"] == (
        f"{khmer} 2026"
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_an_ipv4_network_written_as_ipv6_is_the_same_network(
    office: Any, written: str, meant: str
) -> None:
    saved = put(office, proposal() | {"allowedAddresses": [written]}, 0)
    assert saved.json()["allowedAddresses"] == [meant]


@pytest.mark.parametrize("rows", ROWS, ids=["every row", "some rows"])
@pytest.mark.parametrize("free_text", [True, False], ids=["text", "no text"])
def test_the_preview_is_what_is_then_sent(
    office: Any, rows: dict[str, Any], free_text: bool
) -> None:
    for version, withheld in enumerate(MASKS):
        proposed = proposal(withheld, rows=rows, freeText=free_text)
        before = office.desk.hub.ledger.authorizations.list()
        seen = preview(office, proposed, limit=100)["rights"][0]
        assert office.desk.hub.ledger.authorizations.list() == before
        assert put(office, proposed, version).status_code == 200
        page = office.get(RECORDS, Role.THIRD_PARTY)
        bodies = b",".join(item["content"].encode() for item in seen["items"])
        assert page.content == b'{"items":[%b]}' % bodies
        assert len(page.json()["items"]) == seen["records"]["then"] == (1 if rows else 3)
        names = {item["element"].split(".")[0] for item in seen["withheldElements"]}
        assert ("applicants" in names) is ("stakeholder" in withheld)
        assert (b"of Sok" in page.content) is free_text
    for form in FORMS:
        for item in preview(office, proposed, format=form)["rights"][0]["items"]:
            name = item["recordId"]
            real = office.get(f"{RECORDS}/{name}", Role.THIRD_PARTY, headers={"Accept": form})
            shown = item.get("content", "").encode() or b64decode(item["contentBase64"])
            assert (real.status_code, real.content) == (200, shown)


def test_the_preview_counts_what_changes(office: Any) -> None:
    first = preview(office, proposal())
    assert first["rights"][0]["records"] == {"now": 0, "then": 3}
    assert first["retractions"] == 0
    put(office, proposal(), 0)
    fewer = preview(office, proposal(rows={"publishedOnly": True}))
    assert (fewer["rights"][0]["records"], fewer["retractions"]) == ({"now": 3, "then": 2}, 1)
    assert [change["member"] for change in fewer["differences"]] == ["rights"]
    assert preview(office, proposal(["documents"]))["retractions"] == 3
    assert preview(office, proposal(freeText=False))["retractions"] == 3
    designs = {"rights": [{"right": "designs"}]}
    assert preview(office, designs)["retractions"] == 3
    assert preview(office, proposal())["differences"] == []
    put(office, proposal(rows={"publishedOnly": True}), 1)
    other = preview(office, proposal(rows={"kinds": ["individual"]}))
    assert (other["rights"][0]["records"], other["retractions"]) == ({"now": 2, "then": 2}, 1)


def test_the_preview_counts_everything_as_given_back_where_it_begins_later(
    office: Any,
) -> None:
    later = proposal() | {"validFrom": "2999-01-01"}
    put(office, proposal(), 0)
    seen = preview(office, later)
    assert (seen["retractions"], seen["rights"][0]["retractions"]) == (3, 3)
    assert seen["rights"][0]["records"] == {"now": 3, "then": 3}
    feed = "/v1/changes?office=KH&right=trademarks"
    cursor = office.get(feed, Role.THIRD_PARTY).json()["nextCursor"]
    assert put(office, later, 1).status_code == 200
    items = office.get(f"{feed}&cursor={cursor}", Role.THIRD_PARTY).json()["items"]
    assert [item["changeType"] for item in items] == ["retract"] * 3


def test_the_preview_shows_the_records_asked_for(office: Any) -> None:
    def shown(**sample: Any) -> list[str]:
        document = proposal(["stakeholder"], rows={"publishedOnly": True})
        return [
            item["recordId"] for item in preview(office, document, **sample)["rights"][0]["items"]
        ]

    assert shown() == ["a", "c"]
    assert shown(limit=1) == ["a"]
    assert sorted(shown(choose="random")) == ["a", "c"]
    assert shown(choose="most_withheld", limit=2) == ["a", "c"]
    assert shown(recordId="c") == ["c"]
    everything = preview(office, proposal(), choose="most_withheld")["rights"][0]["items"]
    assert [item["recordId"] for item in everything] == ["a", "b", "c"], "nothing is withheld"
    assert shown(recordId="b") == [], "outside the rows"


def test_free_text_that_is_left_out_cannot_be_searched(office: Any) -> None:
    put(office, proposal(freeText=False), 0)
    answer = office.get(f"{RECORDS}?q=anything", Role.THIRD_PARTY)
    assert (answer.status_code, answer.json()["code"]) == (400, "field_not_available")


def test_validity_and_addresses_close_like_no_authorization(office: Any) -> None:
    nothing = office.get(RECORDS, Role.THIRD_PARTY)
    today = office.desk.now.date()
    closed: list[dict[str, Any]] = [
        {"validFrom": str(today + timedelta(days=1))},
        {"allowedAddresses": ["192.0.2.0/24"]},
    ]
    for version, change in enumerate(closed):
        assert put(office, proposal() | change, version).status_code == 200
        answer = office.get(RECORDS, Role.THIRD_PARTY)
        assert (answer.status_code, answer.content) == (404, nothing.content)
        assert office.get("/v1/offices", Role.THIRD_PARTY).json() == {"items": []}


def test_me_tells_what_may_be_seen_and_under_which_terms(office: Any) -> None:
    put(
        office,
        proposal(rows={"publishedOnly": True})
        | {"termsOfUse": "public_search", "purpose": "search", "validUntil": "2099-01-01"},
        0,
    )
    (shared,) = office.get("/v1/me", Role.THIRD_PARTY).json()["authorizations"]
    assert shared["rights"][0]["rows"] == {"publishedOnly": True}
    assert {name: shared[name] for name in ("termsOfUse", "purpose", "validUntil")} == {
        "termsOfUse": "public_search",
        "purpose": "search",
        "validUntil": "2099-01-01",
    }
    assert (
        office.get("/v1/offices", Role.THIRD_PARTY).json()["items"][0]["rights"][0]["records"] == 2
    )
