"""Large files in parts: announced, sent, gone on with, judged, and then made a delivery."""

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from connectors.sweeping import sweep
from ipregister.deliveries import Kind
from ipregister.roles import MAY, Act, Role

URLS = "/v1/files/upload-urls"


def announce(callers: Any, content: bytes, name: str = "a.xml", **more: Any) -> Any:
    digest = hashlib.sha256(content).hexdigest()
    told = {"name": name, "sha256": digest, "bytes": len(content)}
    answer = callers.post(URLS, json=told | more.pop("changed", {}), **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(callers: Any, told: Any, content: bytes, start: int = 0, **more: Any) -> Any:
    """Send a part; the whole file where it begins at 0 and is as long as that."""
    headers = more.pop("headers", {})
    if len(content) != told["bytes"]:
        headers["Content-Range"] = f"bytes {start}-{start + len(content) - 1}/{told['bytes']}"
    return callers.call("PUT", told["uploadUrl"], content=content, headers=headers, **more)


def test_files_sent_before_become_one_delivery(callers: Any, ipas: Any) -> None:
    contents = [ipas.marks(ipas.mark(f"KH/9000{n}/2019")).encode() for n in range(2)]
    told = [announce(callers, content, f"{n}.xml") for n, content in enumerate(contents)]
    assert [one["state"] for one in told] == ["receiving", "receiving"]
    path = "/v1/offices/KH/trademarks/packages?kind=full_extraction"
    ids = {"fileIds": [one["fileId"] for one in told]}
    assert callers.post(path, json=ids).status_code == 400
    for one, content in zip(told, contents, strict=True):
        answer = send(callers, one, content)
        assert (answer.status_code, answer.json()["state"]) == (200, "validated")
    answer = callers.post(path, json=ids, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202
    assert callers.post(path, json=ids, headers={"Idempotency-Key": "k"}).content == answer.content
    delivery = callers.desk.hub.ledger.deliveries.get(answer.json()["deliveryId"])
    assert [file.name for file in delivery.files] == ["0.xml", "1.xml"]
    assert delivery.kind is Kind.FULL_EXTRACTION
    callers.desk.process(delivery)
    assert len(callers.desk.served()) == 2


def test_a_file_goes_on_where_it_stopped(shared_callers: Any) -> None:
    content = bytes(range(256)) * 40
    told = announce(shared_callers, content)
    for start in (0, 4_000, 8_000):
        offset = shared_callers.call("HEAD", told["uploadUrl"]).headers["upload-offset"]
        assert offset == str(start)
        answer = send(shared_callers, told, content[start : start + 4_000], start)
        assert answer.status_code == 200
    assert answer.json()["state"] == "validated"
    landed = shared_callers.desk.hub.landing.path(told["sha256"])
    assert landed.read_bytes() == content
    again = send(shared_callers, told, content[8_000:], 8_000)
    assert (again.status_code, again.json()["state"]) == (200, "validated")
    assert list(shared_callers.desk.hub.landing.root.glob(".part-*")) == []


@pytest.mark.parametrize("start", [0, 3, 6])
def test_a_part_at_the_wrong_place_is_refused_with_the_right_one(
    shared_callers: Any, start: int
) -> None:
    content = b"wrong place %d" % start
    told = announce(shared_callers, content)
    send(shared_callers, told, content[:5])
    answer = send(shared_callers, told, content[start : start + 2], start)
    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "5")
    assert answer.json()["code"] == "wrong_offset"


def test_the_whole_file_replaces_what_came_before(shared_callers: Any) -> None:
    content = b"sent again as a whole"
    told = announce(shared_callers, content)
    send(shared_callers, told, b"sent wrong", 0)
    assert send(shared_callers, told, content).json()["state"] == "validated"


def test_another_file_than_announced_is_rejected(shared_callers: Any) -> None:
    content = b"what was announced"
    told = announce(shared_callers, content)
    answer = send(shared_callers, told, content.upper())
    assert (answer.status_code, answer.json()["state"]) == (200, "rejected")
    assert "SHA-256" in answer.json()["reason"]
    assert not shared_callers.desk.hub.landing.has(hashlib.sha256(content.upper()).hexdigest())
    path = "/v1/offices/KH/trademarks/packages?kind=update"
    assert shared_callers.post(path, json={"fileIds": [told["fileId"]]}).status_code == 400
    fresh = announce(shared_callers, content)
    assert fresh["fileId"] != told["fileId"]
    assert send(shared_callers, fresh, content).json()["state"] == "validated"


def test_a_part_with_a_wrong_digest_leaves_what_was_there(shared_callers: Any) -> None:
    content = b"part by part, digest by digest"
    told = announce(shared_callers, content)
    for start, part, status, here in [
        (0, content[:10], 200, 10),
        (10, content[10:20], 422, 10),
        (10, content[10:], 200, len(content)),
    ]:
        right = part if status == 200 else b"else"
        digest = base64.b64encode(hashlib.sha256(right).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:"}
        assert send(shared_callers, told, part, start, headers=headers).status_code == status
        found = shared_callers.get(f"/v1/files/{told['fileId']}").json()
        assert found["offset"] == here
    assert found["state"] == "validated"


def test_announcing_again_goes_on_with_the_same_file(shared_callers: Any) -> None:
    content = b"announced twice"
    told = announce(shared_callers, content)
    send(shared_callers, told, content[:4])
    shared_callers.desk.now += timedelta(minutes=10)
    late = send(shared_callers, told, content[4:], 4)
    assert (late.status_code, late.json()["code"]) == (403, "address_expired")
    fresh = announce(shared_callers, content)
    assert (fresh["fileId"], fresh["offset"]) == (told["fileId"], 4)
    assert send(shared_callers, fresh, content[4:], 4).json()["state"] == "validated"


@pytest.mark.parametrize("ask", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("content", [b"all of it", b"something"])
def test_a_file_whose_server_died_before_its_verdict_gets_it_when_asked_about(
    shared_callers: Any, ask: str, content: bytes
) -> None:
    told = announce(shared_callers, b"all of it", f"{ask}-{content[:3].decode()}.xml")
    hub = shared_callers.desk.hub
    with hub.landing.resuming(f"upload-{told['fileId']}") as pushed:
        pushed.append(content)
        waits = shared_callers.get(f"/v1/files/{told['fileId']}").json()
        assert waits["state"] == "receiving", "the request that sends it gives the verdict"
    if ask == "POST":
        announce(shared_callers, b"all of it", told["name"])
    else:
        path = {"GET": f"/v1/files/{told['fileId']}", "HEAD": told["uploadUrl"]}[ask]
        assert shared_callers.call(ask, path).status_code == 200
    upload = hub.ledger.uploads.find(told["fileId"])
    assert upload.state == ("validated" if content == b"all of it" else "rejected")
    assert list(hub.landing.root.glob(f".part-*{told['fileId']}*")) == []


def test_an_address_is_for_one_client_and_one_file(shared_callers: Any) -> None:
    content = b"bound to its client"
    told = announce(shared_callers, content)
    bare = shared_callers.http.put(told["uploadUrl"], content=content)
    assert bare.status_code == 401
    foreign = send(shared_callers, told, content, office="LA")
    nowhere = shared_callers.call("PUT", "/v1/files/file-0/content?ticket=a", content=content)
    assert (foreign.status_code, foreign.content) == (404, nowhere.content)
    other = announce(shared_callers, b"another file")
    swapped = told["uploadUrl"].replace(told["fileId"], other["fileId"])
    for address in (swapped, told["uploadUrl"][:-2], told["uploadUrl"].partition("?")[0]):
        answer = shared_callers.call("PUT", address, content=content)
        assert (answer.status_code, answer.content) == (404, nowhere.content)
    for name in (told["fileId"], "file-0"):
        answer = shared_callers.get(f"/v1/files/{name}", office="LA")
        assert (answer.status_code, answer.content) == (404, nowhere.content)
    assert shared_callers.get(f"/v1/files/{told['fileId']}").json()["offset"] == 0


def test_another_offices_file_makes_no_package(shared_callers: Any) -> None:
    content = b"of Laos"
    told = announce(shared_callers, content, office="LA")
    send(shared_callers, told, content, office="LA")
    path = "/v1/offices/KH/trademarks/packages?kind=update"
    answer = shared_callers.post(path, json={"fileIds": [told["fileId"]]})
    unknown = shared_callers.post(path, json={"fileIds": ["file-0"]})
    assert (answer.status_code, answer.content) == (400, unknown.content)


def test_only_who_may_push_announces(shared_callers: Any) -> None:
    told = {"name": "a.zip", "sha256": "a" * 64, "bytes": 1}
    for role in Role:
        answer = shared_callers.post(URLS, role, json=told)
        nobodys = role in (Role.THIRD_PARTY, Role.COORDINATOR, Role.OPERATOR)
        assert answer.status_code == (201 if Act.PUSH in MAY[role] else 404 if nobodys else 403)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"sha256": "A" * 64}, 400),
        ({"sha256": "a" * 63}, 400),
        ({"bytes": 0}, 400),
        ({"bytes": 1 << 50}, 413),
        ({"bytes": "1"}, 400),
        ({"name": "a/.."}, 400),
        ({"office": "LA"}, 400),
    ],
)
def test_an_announcement_that_makes_no_sense_is_refused(
    shared_callers: Any, changed: dict[str, Any], status: int
) -> None:
    told = {"name": "a.zip", "sha256": "a" * 64, "bytes": 1} | changed
    assert shared_callers.post(URLS, json=told).status_code == status


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"Content-Range": "bytes 0-3/5"}, 400),
        ({"Content-Range": "bytes 3-2/9"}, 400),
        ({"Content-Range": "bytes */9"}, 400),
        ({"Content-Range": "bytes 0-2/9"}, 422),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
def test_a_request_that_is_no_part_is_refused(
    shared_callers: Any, header: dict[str, str], status: int
) -> None:
    told = announce(shared_callers, b"123456789")
    answer = shared_callers.call("PUT", told["uploadUrl"], content=b"12345", headers=header)
    assert answer.status_code == status


def test_two_requests_do_not_mix_their_bytes(shared_callers: Any) -> None:
    content = b"one at a time"
    told = announce(shared_callers, content)
    with shared_callers.desk.hub.landing.resuming(f"upload-{told['fileId']}"):
        answer = send(shared_callers, told, content)
    assert (answer.status_code, answer.json()["code"]) == (409, "ledger_conflict")
    assert send(shared_callers, told, content).json()["state"] == "validated"


def test_the_night_deletes_what_nobody_finished(callers: Any) -> None:
    desk, hub = callers.desk, callers.desk.hub
    first = announce(callers, b"x" * 1_000)
    send(callers, first, b"x" * 400)
    done = announce(callers, b"whole", "b.xml")
    send(callers, done, b"whole")
    desk.now += timedelta(days=2)
    later = announce(callers, b"y" * 1_000, "c.xml")
    desk.now += timedelta(days=13) - timedelta(hours=1)
    assert sweep(hub, at=desk.now).uploads == 0
    desk.now += timedelta(hours=1)
    part = hub.ledger.uploads.find(first["fileId"]).part
    with hub.landing.resuming(part):  # somebody is sending still
        assert sweep(hub, at=desk.now).uploads == 0
    assert hub.landing.part_bytes(part) == 400
    assert sweep(hub, at=desk.now).uploads == 1
    assert hub.landing.part_bytes(part) == 0
    gone, kept, open_still = (
        callers.get(f"/v1/files/{told['fileId']}") for told in (first, done, later)
    )
    assert gone.status_code == 404
    assert (kept.json()["state"], open_still.json()["state"]) == ("validated", "receiving")
    told = [e for e in hub.ledger.audit.entries() if e.subject == first["fileId"]]
    assert [(e.action, e.actor) for e in told[-1:]] == [("upload:forgotten", "hub")]
    assert sweep(hub, at=desk.now).uploads == 0


def test_whoever_sends_the_last_byte_of_a_deleted_file_is_told(callers: Any) -> None:
    told = announce(callers, b"x" * 1_000)
    callers.desk.hub.ledger.uploads.forget(told["fileId"], at=callers.desk.now, by="hub")
    assert send(callers, told, b"x" * 1_000).status_code == 404
