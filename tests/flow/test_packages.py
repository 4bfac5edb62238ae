"""Pushing a package: every kind of body ends as one delivery, as files by any other door do."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from connectors.ledger import Channel
from ipregister.deliveries import Kind, State
from ipregister.model import Right
from ipregister.profiles import load_profile, offices
from ipregister.roles import MAY, Act, Role

PUSH = "/v1/offices/KH/trademarks/packages"
JSON = {"Content-Type": "application/json"}
UPDATE = f"{PUSH}?kind=update&name=KH_20261120.xml"


@pytest.fixture
def content(ipas: Any) -> bytes:
    marks: str = ipas.marks(ipas.mark("KH/90001/2019"), ipas.mark("KH/90002/2019"))
    return marks.encode()


def pushed(callers: Any, answer: Any) -> Any:
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{told['jobId']}"
    return callers.desk.hub.ledger.deliveries.get(told["deliveryId"])


def test_a_pushed_package_becomes_visible(callers: Any, content: bytes) -> None:
    answer = callers.post(UPDATE, content=content)
    delivery = pushed(callers, answer)
    assert answer.json()["status"] == "RECEIVED"
    assert (delivery.channel, delivery.kind, delivery.state) == (
        *(Channel.API, Kind.UPDATE),
        State.RECEIVED,
    )
    (file,) = delivery.files
    assert (file.name, file.bytes) == ("KH_20261120.xml", len(content))
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert str(delivery.officeDate) == "2026-11-20"
    assert delivery.receivedBy == callers.client(Role.OFFICE_DATA_MANAGER)
    callers.desk.process(delivery)
    assert len(callers.desk.served()) == 2
    assert callers.get(answer.headers["location"]).json()["status"] == "IMPORTED"


def test_the_same_content_by_another_door_is_a_duplicate(callers: Any, content: bytes) -> None:
    callers.desk.hand_in(content)
    answer = callers.post(UPDATE, content=content)
    assert answer.json()["status"] == "DUPLICATE"


def test_a_test_changes_nothing(callers: Any, content: bytes) -> None:
    delivery = pushed(callers, callers.post(f"{PUSH}?kind=test&name=a.xml", content=content))
    assert callers.desk.process(delivery).state is State.TEST_ONLY
    assert callers.desk.served() == {}


def test_several_files_are_one_delivery(callers: Any, ipas: Any) -> None:
    parts = [ipas.marks(ipas.mark(f"KH/9000{n}/2019")).encode() for n in range(3)]
    files = [("file", (f"part{n}.xml", part)) for n, part in enumerate(parts)]
    delivery = pushed(callers, callers.post(f"{PUSH}?kind=full_extraction", files=files))
    assert [file.name for file in delivery.files] == ["part0.xml", "part1.xml", "part2.xml"]
    callers.desk.process(delivery)
    assert len(callers.desk.served()) == 3


def test_files_of_one_name_are_told_apart(callers: Any, ipas: Any) -> None:
    parts = [ipas.marks(ipas.mark(f"KH/9000{n}/2019", filed="unknown")).encode() for n in range(2)]
    files = [("file", ("marks.xml", part)) for part in parts]
    delivery = pushed(callers, callers.post(f"{PUSH}?kind=update", files=files))
    done = callers.desk.process(delivery)
    places = {
        finding["applicationNumber"]: finding["file"] for finding in callers.desk.findings(done)
    }
    assert places == {"KH/90000/2019": "marks.xml", "KH/90001/2019": "marks (2).xml"}


@pytest.mark.parametrize(
    ("query", "headers", "name"),
    [
        ("", {"Content-Disposition": 'attachment; filename="a b.zip"'}, "a b.zip"),
        ("", {"Content-Disposition": "attachment; filename*=UTF-8''%E1%9E%80.zip"}, "\u1780.zip"),
        ("", {"Content-Type": "application/zip"}, "package.zip"),
        ("", {"Content-Type": "Text/XML; charset=utf-8"}, "package.xml"),
        # What it is, its first bytes tell: nobody has to name it.
        ("", {"Content-Type": "application/octet-stream"}, "package"),
        ("", {}, "package"),
        ("&name=a.json", {"Content-Type": "application/json"}, "a.json"),
        ("&name=../../etc/a.zip", {}, "a.zip"),
        ("&name=C:%5Cexport%5Ca.zip", {}, "a.zip"),
    ],
)
def test_a_file_has_the_name_its_sender_gives(
    shared_callers: Any, query: str, headers: dict[str, str], name: str
) -> None:
    path = f"{PUSH}?kind=update{query}"
    answer = shared_callers.post(path, content=name.encode(), headers=headers)
    assert answer.json()["files"][0]["name"] == name


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        (f"{PUSH}?name=a.zip", b"x", {}, 400),
        (f"{PUSH}?kind=everything&name=a.zip", b"x", {}, 400),
        (f"{UPDATE}&office=LA", b"x", {}, 400),
        (f"{PUSH}?kind=update&name=..", b"x", {}, 400),
        (f"{PUSH}?kind=update&name={'a' * 256}", b"x", {}, 400),
        (f"{PUSH}?kind=update&name=a%00b", b"x", {}, 400),
        (UPDATE, b"", {}, 400),
        (UPDATE, b"x", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (UPDATE, b"x", {"Content-Type": "image/png"}, 415),
        (UPDATE, b"x", {"Content-Encoding": "gzip"}, 415),
        (UPDATE, b"x", {"Content-Encoding": "zstd"}, 415),
        (UPDATE, b"x", {"Idempotency-Key": "k\u00e9".encode()}, 400),
        (UPDATE, b"x", {"Idempotency-Key": "k" * 256}, 400),
        (UPDATE, b"x", {"Content-Digest": "sha-256=abc"}, 400),
        (UPDATE, b"x", {"Content-Digest": "sha-256=:YWJj:"}, 400),
        (f"{PUSH}?kind=update", b"x", {"Content-Type": "multipart/form-data; boundary=a"}, 400),
        (f"{PUSH}?kind=update", b"{}", {"Content-Type": "application/json"}, 400),
        (f"{PUSH}?kind=update", b'{"fileIds":[]}', {"Content-Type": "application/json"}, 400),
        (
            f"{PUSH}?kind=update",
            b'{"fileIds":["file-1"]}',
            {"Content-Type": "application/json"},
            400,
        ),
        (UPDATE.replace("trademarks", "seeds"), b"x", {}, 404),
    ],
)
def test_what_makes_no_package_is_refused_and_leaves_nothing(
    shared_callers: Any, path: str, body: bytes, headers: dict[str, Any], status: int
) -> None:
    before = shared_callers.desk.hub.ledger.deliveries.list()
    answer = shared_callers.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert shared_callers.desk.hub.ledger.deliveries.list() == before
    assert list(shared_callers.desk.hub.landing.root.glob(".arriving-*")) == []


def test_only_who_may_push_for_the_office_pushes(shared_callers: Any) -> None:
    for role in Role:
        answer = shared_callers.post(UPDATE, role, content=f"by {role}".encode())
        expected = 404 if role is Role.THIRD_PARTY else 202 if Act.PUSH in MAY[role] else 403
        assert answer.status_code == expected
        other = shared_callers.post(UPDATE, role, office="LA", content=f"other {role}".encode())
        assert other.status_code == (403 if role in (Role.COORDINATOR, Role.OPERATOR) else 404)


def test_a_right_the_hub_cannot_read_is_refused_with_advice(shared_callers: Any) -> None:
    for office in offices():
        for right in set(Right) - set(load_profile(office).rights):
            path = f"/v1/offices/{office}/{right}/packages?kind=update&name=a.zip"
            answer = shared_callers.post(path, office=office, content=b"x")
            assert answer.status_code == 400
            assert "no format" in answer.json()["detail"]


# --- digests and limits ----------------------------------------------------------------------


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def test_a_declared_digest_is_checked(shared_callers: Any) -> None:
    for number, name in enumerate(("Content-Digest", "Repr-Digest")):
        body = f"digest {number}".encode()
        wrong = shared_callers.post(UPDATE, content=body, headers={name: digest(b"else")})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "content_mismatch")
        both = f"sha-512=:AAAA:, {digest(body)}"
        assert shared_callers.post(UPDATE, content=body, headers={name: both}).status_code == 202


def test_a_digest_of_a_multipart_body_is_of_all_of_it(shared_callers: Any) -> None:
    body = b"--b\r\nContent-Disposition: form-data; name=f; filename=m.zip\r\n\r\nx\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    path = f"{PUSH}?kind=update"
    right = shared_callers.post(path, content=body, headers=kind | {"Content-Digest": digest(body)})
    assert right.status_code == 202
    wrong = shared_callers.post(path, content=body, headers=kind | {"Content-Digest": digest(b"x")})
    assert wrong.status_code == 422


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_more_than_the_hub_takes_is_refused(
    desk: Any, at_the_api: Any, told: bool, several: bool
) -> None:
    settings = desk.hub.settings.model_copy(update={"max_package_bytes": 1_000})
    desk.hub = replace(desk.hub, settings=settings)
    callers = at_the_api(desk)
    body = b"x" * 1_001
    if several:
        body = b"--b\r\nContent-Disposition: form-data; name=f; filename=m.zip\r\n\r\n" + body
    kind = "multipart/form-data; boundary=b" if several else "application/zip"
    chunks = (body[start : start + 100] for start in range(0, len(body), 100))
    headers = {"Content-Type": kind}
    sent = body if told else chunks
    answer = callers.post(f"{PUSH}?kind=update", content=sent, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "oversized_delivery")
    assert desk.hub.ledger.deliveries.list() == []
    assert list(desk.hub.landing.root.glob(".arriving-*")) == []


# --- again -----------------------------------------------------------------------------------


def test_the_same_request_again_gets_the_same_answer(callers: Any, content: bytes) -> None:
    key = {"Idempotency-Key": "2f1c"}
    first = callers.post(UPDATE, content=content, headers=key)
    callers.desk.process(pushed(callers, first))
    again = callers.post(UPDATE, content=content, headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert len(callers.desk.hub.ledger.deliveries.list()) == 1
    other = callers.post(UPDATE, content=content + b" ", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    renamed = callers.post(f"{PUSH}?kind=update&name=other.xml", content=content, headers=key)
    assert renamed.status_code == 422


def test_records_of_another_office_are_not_taken_for_ones_own(callers: Any, ipas: Any) -> None:
    foreign = ipas.marks(ipas.mark("KH/90001/2019", office="TH"), ipas.mark("KH/90002/2019"))
    answer = callers.post(UPDATE, content=foreign.encode())
    done = callers.desk.process(pushed(callers, answer))
    assert list(callers.desk.served()) == ["KH/90002/2019"]
    found = callers.get(f"/v1/offices/KH/deliveries/{done.deliveryId}/findings").json()["items"]
    assert any("TH" in json.dumps(finding) for finding in found)
    assert callers.desk.served("TH") == {}
