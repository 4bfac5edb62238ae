"""The exchange history over HTTP: what an office sees of its deliveries, and decides."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

import pipelines.ingest as ingest
from api.jobs import STATUSES
from connectors.ledger import DeliveredFile, DeliveryQuery
from iphub import decisions
from ipregister.deliveries import Kind, State
from ipregister.model import Right
from ipregister.roles import Role
from pipelines.running import process_until_idle

KH = "/v1/offices/KH/deliveries"


@pytest.fixture(scope="module")
def history(shared_callers: Any, ipas: Any) -> Any:
    """Five deliveries of Cambodia over five days, one of Laos."""
    desk = shared_callers.desk
    shared_callers.sent = []
    for number in range(5):
        content = ipas.marks(
            ipas.mark(f"KH/9000{number}/2019", applicant="=1+1"),
            ipas.mark(f"KH/8000{number}/2019", filed="not a date"),
            ipas.mark(f"KH/7000{number}/2019", status="Unheard"),
        )
        kind = Kind.TEST if number == 4 else Kind.UPDATE
        shared_callers.sent.append(desk.deliver(content, kind=kind))
        desk.now += timedelta(days=1)
    shared_callers.foreign = desk.hand_in("<broken", office="LA")
    return shared_callers


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["deliveryId"] for item in answer.json()["items"]]


def test_the_history_is_newest_first_and_the_offices_own(history: Any) -> None:
    newest = [delivery.deliveryId for delivery in reversed(history.sent)]
    for role in (Role.OFFICE_VIEWER, Role.OFFICE_DATA_MANAGER, Role.OFFICE_AUTHORIZER):
        assert ids(history.get(KH, role)) == newest
    assert ids(history.get("/v1/offices/LA/deliveries", office="LA")) == [
        history.foreign.deliveryId
    ]
    first = history.get(KH).json()["items"][-1]
    assert first == json.loads(json.dumps(history.sent[0].document()))


def test_pages_join_to_the_whole(history: Any) -> None:
    whole, found, path = ids(history.get(KH)), [], f"{KH}?limit=2"
    for _ in range(3):
        page = history.get(path)
        found += ids(page)
        if "nextCursor" in page.json():
            path = page.headers["link"].split(">")[0].removeprefix("<")
            assert page.json()["nextCursor"] in path
    assert found == whole
    assert "link" not in page.headers


def test_deliveries_of_one_instant_are_paged_without_loss(desk: Any, ipas: Any) -> None:
    at = desk.now
    for number in range(4):
        desk.hand_in(ipas.marks(ipas.mark(f"KH/9000{number}/2019")))
        desk.now = at
    search = desk.hub.ledger.deliveries.search
    whole = [d.deliveryId for d in search(DeliveryQuery(office="KH"))]
    paged: list[str] = []
    after = None
    while page := search(DeliveryQuery(office="KH", after=after, limit=1)):
        paged += [d.deliveryId for d in page]
        after = (page[-1].receivedAt, page[-1].deliveryId)
    assert paged == whole
    assert len(whole) == 4


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("right=trademarks", [4, 3, 2, 1, 0]),
        ("right=designs", []),
        ("kind=test", [4]),
        ("state=published_with_findings", [3, 2, 1, 0]),
        ("state=test_only,held", [4]),
        ("receivedFrom=2026-11-24&receivedTo=2026-11-25", [3, 2]),
        ("receivedTo=2026-11-22", [0]),
    ],
)
def test_filters_narrow_the_history(history: Any, query: str, places: list[int]) -> None:
    expected = [history.sent[place].deliveryId for place in places]
    assert ids(history.get(f"{KH}?{query}")) == expected


@pytest.mark.parametrize(
    "query",
    [
        *("right=seeds", "right=patents,designs", "kind=", "state=lost", "state=", "limit=0"),
        *("receivedFrom=yesterday", "receivedTo=9999-12-31", "receivedFrom=2026-W01-1"),
        *("office=LA", "cursor=abc", "right=patents&right=designs", "%ff"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(history: Any, query: str) -> None:
    answer = history.get(f"{KH}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_cursor_is_for_one_client_and_one_query(history: Any) -> None:
    cursor = history.get(f"{KH}?limit=1").json()["nextCursor"]
    assert history.get(f"{KH}?limit=3&cursor={cursor}").status_code == 200
    assert history.get(f"{KH}?cursor={cursor}", Role.OFFICE_VIEWER).status_code == 400
    assert history.get(f"{KH}?kind=update&cursor={cursor}").status_code == 400


def test_one_delivery_tells_its_life(history: Any) -> None:
    sent = history.sent[0]
    answer = history.get(f"{KH}/{sent.deliveryId}")
    told = answer.json()
    assert [event["state"] for event in told["events"]] == [
        *("received", "checking", "published_with_findings")
    ]
    assert told["receipt"]["recordsRead"] == 3
    assert [file["name"] for file in told["files"]] == ["part0.xml"]
    assert answer.headers["etag"] == history.get(f"{KH}/{sent.deliveryId}").headers["etag"]


@pytest.mark.parametrize("more", ["", "/findings"])
def test_what_is_not_yours_does_not_exist(history: Any, more: str) -> None:
    mine, theirs = history.sent[0].deliveryId, history.foreign.deliveryId
    nothing = history.get(f"{KH}/KH-20261122-9999{more}")
    assert nothing.status_code == 404
    assert history.get(f"{KH}/{theirs}{more}").content == nothing.content
    for role, office in [(Role.THIRD_PARTY, "KH"), (Role.OFFICE_DATA_MANAGER, "LA")]:
        answer = history.get(f"{KH}/{mine}{more}", role, office=office)
        assert answer.content == nothing.content


def test_coordinators_and_operators_see_no_deliveries(history: Any) -> None:
    for role in (Role.COORDINATOR, Role.OPERATOR):
        for path in (KH, f"{KH}/{history.sent[0].deliveryId}"):
            assert history.get(path, role).status_code == 403


# --- findings --------------------------------------------------------------------------------


def findings(history: Any, query: str = "", accept: str = "*/*") -> Any:
    path = f"{KH}/{history.sent[0].deliveryId}/findings"
    return history.get(f"{path}?{query}", headers={"Accept": accept})


def test_findings_are_those_of_the_report(history: Any) -> None:
    kept = history.desk.findings(history.sent[0])
    assert findings(history).json() == {"items": kept}
    assert len(kept) > 2
    rows = [
        json.loads(line) for line in findings(history, accept="application/x-ndjson").iter_lines()
    ]
    assert rows == kept
    table = list(csv.DictReader(io.StringIO(findings(history, accept="text/csv").text)))
    assert [row["ruleCode"] for row in table] == [row["ruleCode"] for row in kept]


def test_findings_are_paged_and_filtered(history: Any) -> None:
    kept = history.desk.findings(history.sent[0])
    found, cursor = [], ""
    while True:
        page = findings(history, f"limit=1{cursor}").json()
        found += page["items"]
        if "nextCursor" not in page:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert found == kept
    one = kept[0]
    for name in ("ruleCode", "severity", "recordId"):
        expected = [row for row in kept if row[name] == one[name]]
        assert findings(history, f"{name}={one[name]}").json()["items"] == expected
        assert len(expected) < len(kept)
    assert findings(history, "ruleCode=' OR 1=1").json() == {"items": []}


def test_findings_refuse_what_they_do_not_know(history: Any) -> None:
    assert findings(history, "severity=fatal").status_code == 400
    assert findings(history, accept="application/pdf").status_code == 406
    assert findings(history, "limit=1", accept="text/csv").status_code == 400


def test_a_delivery_that_waits_has_no_findings_yet(history: Any) -> None:
    path = f"/v1/offices/LA/deliveries/{history.foreign.deliveryId}/findings"
    assert history.get(path, office="LA").json() == {"items": []}


# --- decisions -------------------------------------------------------------------------------


def hold(callers: Any, ipas: Any) -> Any:
    """Deliver a full extraction that would take away nearly everything."""
    many = [ipas.mark(f"KH/{number}/2019") for number in range(90000, 90060)]
    callers.desk.deliver(ipas.marks(*many), kind=Kind.FULL_EXTRACTION)
    callers.held = callers.desk.deliver(ipas.marks(many[0]), kind=Kind.FULL_EXTRACTION)
    assert callers.held.state is State.HELD
    return callers


@pytest.fixture
def held(callers: Any, ipas: Any) -> Any:
    """A held delivery that is decided."""
    return hold(callers, ipas)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, ipas: Any, at_the_api: Any) -> Iterator[Any]:
    """A held delivery that nobody may decide."""
    desk = ipas.open_desk(tmp_path_factory.mktemp("held") / "hub")
    yield hold(at_the_api(desk), ipas)
    desk.hub.close()


def decide(held: Any, word: str, role: Role = Role.OFFICE_DATA_MANAGER, **more: Any) -> Any:
    body = more.pop("json", {"reason": "It is as it should be"})
    return held.post(f"{KH}/{held.held.deliveryId}/{word}", role, json=body, **more)


def test_a_release_lets_a_delivery_take_effect(held: Any) -> None:
    answer = decide(held, "release")
    assert answer.status_code == 200
    event = answer.json()["events"][-1]
    manager = held.client(Role.OFFICE_DATA_MANAGER)
    assert (event["state"], event["actor"]) == ("checking", manager)
    assert "It is as it should be" in event["reason"]
    assert held.desk.process(held.held).state is State.PUBLISHED_WITH_FINDINGS
    assert len(held.desk.served()) == 1
    assert decide(held, "release").status_code == 409


def test_a_withdrawal_leaves_the_register_as_it_is(held: Any) -> None:
    assert decide(held, "withdraw").json()["state"] == "withdrawn"
    assert len(held.desk.served()) == 60
    refused = decide(held, "release")
    assert (refused.status_code, refused.json()["code"]) == (409, "ledger_conflict")


def test_a_dead_upload_is_withdrawn_but_never_released(callers: Any) -> None:
    deliveries = callers.desk.hub.ledger.deliveries
    file = DeliveredFile("KH_20261113_0001.zip", "5" * 64, 10)
    dead = deliveries.record(
        "KH", Right.TRADEMARKS, Kind.UPDATE, "sftp", [file], callers.desk.now, "sftp",
        state=State.INCOMPLETE, reason="not complete",
    )  # fmt: skip
    role, reason = Role.OFFICE_DATA_MANAGER, {"reason": "sent again under another name"}
    path = f"{KH}/{dead.deliveryId}"
    assert callers.post(f"{path}/release", role, json=reason).status_code == 409
    assert callers.post(f"{path}/withdraw", role, json=reason).json()["state"] == "withdrawn"
    assert callers.post(f"{path}/withdraw", role, json=reason).status_code == 409


def test_only_what_is_held_is_decided(history: Any) -> None:
    path = f"/v1/offices/LA/deliveries/{history.foreign.deliveryId}/withdraw"
    answer = history.post(path, office="LA", json={"reason": "a mistake"})
    assert (answer.status_code, answer.json()["code"]) == (409, "ledger_conflict")


def test_only_data_managers_decide(kept: Any) -> None:
    for role in set(Role) - {Role.OFFICE_DATA_MANAGER}:
        answer = decide(kept, "release", role)
        assert answer.status_code == (404 if role is Role.THIRD_PARTY else 403)
    assert decide(kept, "release", office="LA").status_code == 404
    assert kept.desk.hub.ledger.deliveries.get(kept.held.deliveryId).state is State.HELD


def test_who_did_not_see_the_last_step_decides_nothing(held: Any) -> None:
    path = f"{KH}/{held.held.deliveryId}"
    seen = held.get(path).headers["etag"]
    stale = decide(held, "withdraw", headers={"If-Match": '"another"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile")
    assert decide(held, "withdraw", headers={"If-Match": seen}).status_code == 200
    assert held.get(path).headers["etag"] != seen


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"reason": " "}, 400),
        ({"reason": "a\u202eb"}, 400),
        ({"reason": "x" * 1001}, 400),
        ({"reason": 7}, 400),
        ({"reason": "fine", "office": "LA"}, 400),
        ([], 400),
    ],
)
def test_a_decision_has_a_reason_and_nothing_else(kept: Any, body: Any, status: int) -> None:
    assert decide(kept, "release", json=body).status_code == status
    assert kept.desk.hub.ledger.deliveries.get(kept.held.deliveryId).state is State.HELD


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xef\xbb\xbf{}", b"[" * 60_000, b'{"reason":NaN}', b'{"reason":1e400}', b"\xff"),
        *(b'{"reason":"\\ud800"}', b"{" + b'"a":1,' * 9_000 + b'"a":1}'),
    ],
)
def test_json_made_to_hurt_is_refused(kept: Any, content: bytes) -> None:
    path = f"{KH}/{kept.held.deliveryId}/release"
    answer = kept.post(path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_a_decision_is_small_json(kept: Any) -> None:
    path = f"{KH}/{kept.held.deliveryId}/release"
    assert kept.post(path, data={"reason": "fine"}).status_code == 415
    assert decide(kept, "release", json={"reason": "x" * 70_000}).status_code == 413


def test_a_revert_by_api_is_carried_out_by_the_next_run(callers: Any, ipas: Any) -> None:
    desk = callers.desk
    desk.deliver(ipas.marks(ipas.mark(word="GOOD")), kind=Kind.FULL_EXTRACTION)
    callers.held = bad = desk.deliver(ipas.marks(ipas.mark(word="BAD"), ipas.mark("KH/2/2019")))
    seen = callers.get(f"{KH}/{bad.deliveryId}").headers["etag"]
    assert decide(callers, "revert", headers={"If-Match": '"another"'}).status_code == 412
    answer = decide(callers, "revert", headers={"If-Match": seen})
    told, manager = answer.json(), callers.client(Role.OFFICE_DATA_MANAGER)
    assert (answer.status_code, told["revertedBy"], told["reversal"]) == (200, manager, None)
    assert "It is as it should be" in told["events"][-1]["reason"]
    assert len(desk.served()) == 2
    assert decide(callers, "revert").json()["revertedAt"] == told["revertedAt"]
    assert process_until_idle(desk.hub) == []
    done = callers.get(f"{KH}/{bad.deliveryId}").json()
    assert done["reversal"] == {"removed": 1, "restored": 0, "changedBack": 1, "kept": 0}
    (record,) = desk.served().values()
    assert record["markVerbalElements"][0]["text"] == "GOOD"


def test_what_was_not_published_is_not_reverted(kept: Any) -> None:
    refused = decide(kept, "revert")
    assert (refused.status_code, refused.json()["code"]) == (409, "ledger_conflict")


def test_nothing_is_reverted_while_a_delivery_is_half_published(
    callers: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = callers.desk
    callers.held = first = desk.deliver(ipas.marks(ipas.mark()))
    half = desk.hand_in(ipas.marks(ipas.mark(word="HALF")))

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ingest, "publish_to_serving", crash)
        with pytest.raises(KeyboardInterrupt):
            desk.process(half)
    desk.hub.ledger.deliveries.move(half.deliveryId, State.RECEIVED, desk.now, "test")
    refused = decide(callers, "revert")
    assert (refused.status_code, refused.json()["code"]) == (409, "ledger_conflict")
    desk.process(half)
    assert decide(callers, "revert").status_code == 200
    assert desk.hub.ledger.deliveries.get(first.deliveryId).revertedAt is not None


# --- what would disappear --------------------------------------------------------------------


def test_the_missing_records_come_in_pages_and_as_a_list(kept: Any) -> None:
    path, found = f"{KH}/{kept.held.deliveryId}/missing", []
    following = f"{path}?limit=25"
    while following:
        page = kept.get(following, Role.OFFICE_VIEWER)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        following = page.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert [each["applicationNumber"] for each in found] == [
        f"KH/{number}/2019" for number in range(90001, 90060)
    ]
    assert found[0]["applicationDate"] == "2019-05-02"
    lines = kept.get(path, headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert [json.loads(line) for line in lines] == found
    listed = kept.get(path, headers={"Accept": "text/csv"}).text
    assert list(csv.DictReader(io.StringIO(listed))) == found
    where = ["missing", kept.held.deliveryId, "--home", str(kept.desk.hub.home.root)]
    assert CliRunner().invoke(decisions.app, where).stdout == listed.replace("\r\n", "\n")


def test_what_no_guard_held_has_no_list_of_missing_records(history: Any) -> None:
    answer = history.get(f"{KH}/{history.sent[0].deliveryId}/missing")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "not held by a guard" in answer.json()["detail"]


# --- jobs ------------------------------------------------------------------------------------


def test_a_job_is_a_delivery_as_the_exchange_tells_it(history: Any) -> None:
    job = history.get(f"/v1/jobs/{history.sent[0].deliveryId}").json()
    assert (job["status"], job["errors"]) == ("IMPORTED", [])
    for link in job["links"].values():
        assert history.get(link).status_code in (200, 404)
    waiting = history.get(f"/v1/jobs/{history.foreign.deliveryId}", office="LA")
    assert (waiting.json()["status"], waiting.headers["retry-after"]) == ("RECEIVED", "5")


def test_a_held_job_says_why(kept: Any) -> None:
    job = kept.get(f"/v1/jobs/{kept.held.deliveryId}").json()
    assert job["status"] == "HELD"
    assert job["errors"] == [{"code": "held", "message": kept.held.reason}]


def test_a_job_is_seen_by_its_office_only(history: Any) -> None:
    path = f"/v1/jobs/{history.sent[0].deliveryId}"
    nothing = history.get("/v1/jobs/KH-20261122-9999")
    assert nothing.status_code == 404
    for role, office in [(role, "LA") for role in Role] + [(Role.COORDINATOR, "KH")]:
        assert history.get(path, role, office=office).content == nothing.content


def test_every_state_has_a_status() -> None:
    assert STATUSES.keys() == set(State)
