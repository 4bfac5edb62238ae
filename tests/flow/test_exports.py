"""Bulk over HTTP: files of what a client sees, resumed, refused, paid for in rows."""

import os
import runpy
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api import prepared_files, record_stream
from api.limits import Limits
from connectors.buckets import Buckets
from connectors.exports import mapped
from connectors.exports.preparing import Exports
from connectors.exports.tasks import Snapshot
from connectors.receipts.journal import Receipt, journals, read_journal
from connectors.serving.schema import connect
from ipregister.model import Disclosure, Right, load_tables

_WORLD: Any = runpy.run_path(str(Path(__file__).with_name("bulk_world.py")))
Running, mark, now = _WORLD["Running"], _WORLD["mark"], _WORLD["now"]
query = _WORLD["query"]
TM = Right.TRADEMARKS
EVERYTHING: frozenset[Disclosure] = frozenset()
NO_PERSONS, hub, acme = _WORLD["NO_PERSONS"], _WORLD["hub"], _WORLD["acme"]


@pytest.fixture
def hub_with_builder(tmp_path: Path) -> Iterator[Running]:
    """A hub that prepares files as it does at work: in another process."""
    running = Running(tmp_path, Exports)
    yield running
    running.stop()


def export(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    """Ask for a file and wait for it."""
    body = {"office": "KH", "right": "trademarks"} | asked
    answer = client.post("/v1/exports", json=body)
    assert answer.status_code == 202, answer.text
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = client.get(answer.headers["location"])
        assert job.status_code == 200, job.text
        if job.json()["status"] == "COMPLETED":
            return dict(job.json())
        assert job.json()["status"] in ("RECEIVED", "IN_PROGRESS"), job.text
        assert job.headers["retry-after"] == "2"
        time.sleep(0.1)
    raise AssertionError("the file never became ready")


def fetch(client: httpx.Client, job: Mapping[str, Any], **headers: str) -> httpx.Response:
    return client.get(job["downloads"][0]["url"], headers=headers)


@pytest.mark.parametrize("kind", ["parquet", "ndjson", "csv", "xml"])
def test_a_client_gets_the_file_it_asked_for(acme: httpx.Client, kind: str) -> None:
    job = export(acme, format=kind, filters={"status": ["filed", "registered"]})
    (told,) = job["downloads"]
    answer = fetch(acme, job)
    assert answer.status_code == 200
    assert (len(answer.content), told["records"]) == (told["bytes"], 30)
    assert sha256(answer.content).hexdigest() == told["sha256"]
    assert answer.headers["etag"] == f'"{told["sha256"]}"'
    assert answer.headers["content-type"].startswith(told["mediaType"])
    assert answer.headers["content-disposition"] == f'attachment; filename="{told["fileName"]}"'
    assert b"Dara" not in answer.content
    if kind == "parquet":
        names = pq.read_schema(pa.BufferReader(answer.content)).names
        classes = {f.name: f.disclosure for f in load_tables()[TM].fields}
        assert Disclosure.STAKEHOLDER not in {classes[name] for name in names}


def test_behind_nginx_the_file_is_handed_over(hub: Running, acme: httpx.Client) -> None:
    job = export(acme)
    hub.app.state.service = replace(hub.service, accel_prefix="/_prepared/")
    answer = fetch(acme, job, Range="bytes=5-")
    name = f"{job['downloads'][0]['sha256']}.parquet"
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-accel-redirect"] == f"/_prepared/{name}"
    assert "accept-ranges" not in answer.headers  # nginx would say it twice
    assert (hub.exports.store.files / name).exists()
    hub.share(NO_PERSONS | {Disclosure.DOCUMENTS})  # narrowed: the next part is refused here
    assert "x-accel-redirect" not in fetch(acme, job, Range="bytes=9-").headers


def test_parts_count_as_their_share_of_the_rows(
    hub: Running, acme: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    monkeypatch.setattr(prepared_files, "count_rows", lambda _request, rows: counted.append(rows))
    job = export(acme)
    for prefix in (None, "/_prepared/"):
        hub.app.state.service = replace(hub.service, accel_prefix=prefix)
        fetch(acme, job)
        fetch(acme, job, Range=f"bytes={job['downloads'][0]['bytes'] // 2}-")
        fetch(acme, job, Range="bytes=0-0", **{"If-Range": '"another"'})  # gets the whole file
    assert counted == [30, 15, 30] * 2 or counted == [30, 16, 30] * 2


def test_every_part_of_a_file_leaves_a_receipt(hub: Running, acme: httpx.Client) -> None:
    job = export(acme)
    name = job["downloads"][0]["sha256"].encode()

    def receipts() -> int:
        journals = (path.read_bytes() for path in hub.receipts.rglob("*") if path.is_file())
        return sum(content.count(name) for content in journals)

    before = receipts()
    fetch(acme, job, Range="bytes=0-9")
    fetch(acme, job, Range="bytes=10-")
    assert receipts() == before + 2


def journaled(hub: Running) -> list[Receipt]:
    return [one for path in journals(hub.receipts).glob("*") for one in read_journal(path)]


def metered(hub: Running, tmp_path: Path) -> None:
    """Count requests and rows, as a hub at work does."""
    quotas = Buckets(tmp_path / "quotas", key=b"k" * 32)
    limits = Limits(quotas, Buckets(tmp_path / "failures", key=b"k" * 32), requests=1_000, rows=40)
    hub.app.state.service = replace(hub.service, limits=limits)


def rows_left(client: httpx.Client) -> int:
    return int(client.get("/v1/me").json()["quota"]["rows"]["remaining"])


def test_who_asks_how_long_a_file_is_has_read_nothing(
    hub: Running, acme: httpx.Client, tmp_path: Path
) -> None:
    job = export(acme)
    metered(hub, tmp_path)
    for prefix in (None, "/_prepared/"):
        hub.app.state.service = replace(hub.app.state.service, accel_prefix=prefix)
        assert acme.head(job["downloads"][0]["url"]).status_code == 200
    assert (rows_left(acme), journaled(hub)) == (40, [])


def test_who_has_a_file_or_asks_beyond_its_end_has_read_nothing(
    hub: Running, acme: httpx.Client, tmp_path: Path
) -> None:
    job = export(acme)
    metered(hub, tmp_path)
    (file,) = hub.exports.store.files.glob("*.parquet")
    seen = file.stat()
    nginx = f'"{int(seen.st_mtime):x}-{seen.st_size:x}"'
    for prefix, etag in ((None, f'"{file.stem}"'), ("/_prepared/", nginx)):
        hub.app.state.service = replace(hub.app.state.service, accel_prefix=prefix)
        known = fetch(acme, job, **{"If-None-Match": f'"another", {etag}', "Range": "bytes=0-9"})
        assert (known.status_code, known.headers["etag"], known.content) == (304, etag, b"")
        beyond = fetch(acme, job, Range=f"bytes={seen.st_size}-")
        assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
        assert beyond.headers["content-range"] == f"bytes */{seen.st_size}"
        assert not {"x-accel-redirect"} & (known.headers.keys() | beyond.headers.keys())
    assert (rows_left(acme), journaled(hub)) == (40, [])


def test_a_file_that_is_gone_before_it_is_opened_was_not_read(
    hub: Running, acme: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = export(acme)
    there = hub.exports.snapshot

    def removed(key: str) -> Snapshot | None:
        found = there(key)
        assert found is not None
        (hub.exports.store.files / found.file).unlink()
        return found

    monkeypatch.setattr(hub.exports, "snapshot", cache(removed))
    for prefix in (None, "/_prepared/"):
        hub.app.state.service = replace(hub.service, accel_prefix=prefix)
        assert fetch(acme, job).json()["code"] == "snapshot_expired"
    assert journaled(hub) == []


def test_the_file_of_a_delta_table_is_paid_in_rows(
    hub: Running, acme: httpx.Client, tmp_path: Path
) -> None:
    metered(hub, tmp_path)
    url = query(acme)["url"]
    with httpx.Client(timeout=60) as anybody:  # the address is the permission
        assert [anybody.get(url).status_code for _ in range(3)] == [200, 200, 429]
        assert anybody.get(url).json()["limits"] == ["rows"]
    assert [one.route for one in journaled(hub)] == ["delta_sharing"] * 2
    assert rows_left(acme) == 0


def test_the_same_wish_is_the_same_job_until_something_visible_changes(
    hub: Running, acme: httpx.Client
) -> None:
    first = export(acme)
    hub.publish(mark(1, applicant="Sophea"))
    assert export(acme) == first
    hub.publish(mark(1, status="registered"))
    second = export(acme)
    assert second["jobId"] != first["jobId"]
    # The first one stays to be had, byte for byte.
    assert sha256(fetch(acme, first).content).hexdigest() == first["downloads"][0]["sha256"]


def test_a_transfer_is_resumed_where_it_broke_off(acme: httpx.Client) -> None:
    job = export(acme)
    whole = fetch(acme, job)
    etag, size = whole.headers["etag"], len(whole.content)
    first = fetch(acme, job, Range="bytes=0-99")
    rest = fetch(acme, job, Range="bytes=100-", **{"If-Range": etag})
    assert (first.status_code, rest.status_code) == (206, 206)
    assert rest.headers["content-range"] == f"bytes 100-{size - 1}/{size}"
    assert first.content + rest.content == whole.content
    assert fetch(acme, job, Range="bytes=-7").content == whole.content[-7:]
    for headers in (
        {"Range": "bytes=100-", "If-Range": '"another"'},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=9-3"},
        {"Range": "bytes=-"},
    ):
        answer = fetch(acme, job, **headers)
        assert (answer.status_code, answer.content) == (200, whole.content), headers
    for beyond in (f"bytes={size}-", "bytes=-0"):
        answer = fetch(acme, job, Range=beyond)
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    assert fetch(acme, job, **{"If-None-Match": etag}).status_code == 304
    head = acme.head(job["downloads"][0]["url"])
    assert (head.status_code, head.headers["content-length"]) == (200, str(size))


def test_a_file_is_gone_with_the_right_to_it_half_way_through(
    hub: Running, acme: httpx.Client
) -> None:
    hub.share(EVERYTHING)
    job = export(acme, format="ndjson")
    assert fetch(acme, job, Range="bytes=0-9").status_code == 206
    hub.share(NO_PERSONS)
    narrowed = fetch(acme, job, Range="bytes=10-")
    assert (narrowed.status_code, narrowed.json()["code"]) == (404, "not_found")
    assert acme.get(f"/v1/jobs/{job['jobId']}").status_code == 404
    mine = export(acme, format="ndjson")
    hub.share(EVERYTHING)  # who may see more may still have what it asked for
    assert fetch(acme, mine).status_code == 200
    hub.ledger.authorizations.revoke("KH", "Acme", now(), "test")
    assert fetch(acme, mine).status_code == 404


def test_a_transfer_goes_on_where_the_store_was_made_anew(hub: Running, acme: httpx.Client) -> None:
    """Spaces of the new store have other numbers, and the file is what it was."""
    job = export(acme)
    first = fetch(acme, job, Range="bytes=0-99")
    with closing(connect(hub.serving.path, writer=True)) as anew:
        for table, column in (("space", "id"), ("publication", "space"), ("record", "space")):
            anew.execute(f"UPDATE {table} SET {column} = {column} + 7")
    rest = fetch(acme, job, Range="bytes=100-")
    assert (first.status_code, rest.status_code) == (206, 206)
    assert sha256(first.content + rest.content).hexdigest() == job["downloads"][0]["sha256"]
    assert acme.get(f"/v1/jobs/{job['jobId']}").json()["status"] == "COMPLETED"
    hub.share(NO_PERSONS | {Disclosure.DOCUMENTS})
    assert fetch(acme, job).status_code == 404


def test_clients_with_the_same_rights_share_a_file_and_no_address(
    hub: Running, acme: httpx.Client
) -> None:
    job = export(acme)
    with hub.client("Other") as other:
        hub.share(NO_PERSONS, "Other")
        assert fetch(other, job).status_code == 404
        assert other.get(f"/v1/jobs/{job['jobId']}").status_code == 404
        theirs = export(other)
        assert theirs["downloads"][0]["url"] != job["downloads"][0]["url"]
        assert fetch(other, theirs).content == fetch(acme, job).content
    assert len(list((hub.exports.store.files).iterdir())) == 1


def test_other_wishes_are_refused(acme: httpx.Client) -> None:
    mine: dict[str, Any] = {"office": "KH", "right": "trademarks"}
    for body, status, code in (
        (mine | {"office": "TH"}, 404, "not_found"),
        (mine | {"right": "patents"}, 404, "not_found"),
        (mine | {"right": "x"}, 404, "not_found"),
        (mine | {"format": "exe"}, 400, "invalid_request"),
        (mine | {"filters": {"x": "1"}}, 400, "invalid_request"),
        (mine | {"filters": {"q": "k"}}, 400, "invalid_request"),
        (mine | {"extra": 1}, 400, "invalid_request"),
        ({"office": "KH"}, 400, "invalid_request"),
    ):
        answer = acme.post("/v1/exports", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("exports:create data:read:trademarks", 202),
        ("exports:create data:read:designs", 404),
        ("data:read:trademarks", 403),
    ],
)
def test_a_token_can_be_narrowed_to_exports(hub: Running, scope: str, status: int) -> None:
    with hub.client(scope=scope) as client:
        hub.share(NO_PERSONS)
        wish = {"office": "KH", "right": "trademarks", "format": "csv"}
        assert client.post("/v1/exports", json=wish).status_code == status
        described = client.get("/.well-known/oauth-protected-resource").json()
        assert set(scope.split()) <= set(described["scopes_supported"])


def test_an_altered_identifier_is_nothing(acme: httpx.Client) -> None:
    job = export(acme)
    for path in (f"/v1/jobs/{job['jobId']}x", "/v1/jobs/export-", "/v1/snapshots/abc"):
        assert acme.get(path).status_code == 404


def test_a_file_is_prepared_by_another_process(hub_with_builder: Running) -> None:
    hub = hub_with_builder
    hub.publish(*[mark(number) for number in range(30)])
    with hub.client() as client:
        hub.share(NO_PERSONS)
        job = export(client, format="csv")
        assert fetch(client, job).text.count("\r\n") == 31


def test_a_signal_to_all_of_a_terminal_breaks_no_file_off(hub_with_builder: Running) -> None:
    hub_with_builder.exports.start()
    pid = hub_with_builder.exports._builder.pid
    assert os.getpgid(pid) == os.getsid(pid) == pid


@pytest.mark.parametrize("path", ["/v1/snapshots/{snapshotId}", "/delta-sharing/files/{fileToken}"])
def test_what_a_file_answers_to_ranges_and_conditions_is_described(
    acme: httpx.Client, path: str
) -> None:
    delta = path.startswith("/delta-sharing")
    url = query(acme)["url"] if delta else export(acme)["downloads"][0]["url"]
    asked = [{}, {"Range": "bytes=0-3"}, {"Range": "bytes=99999999-"}, {"If-None-Match": "*"}]
    answered = [str(acme.get(url, headers=headers).status_code) for headers in asked]
    assert answered == ["200", "206", "416", "304"]
    described = acme.get("/openapi.json").json()["paths"][path]["get"]["responses"]
    assert set(answered) <= described.keys()


@pytest.mark.parametrize("withheld", [EVERYTHING, NO_PERSONS, frozenset(Disclosure) - {"core"}])
def test_a_stream_out_of_mapped_columns_has_the_same_bytes(
    hub: Running, monkeypatch: pytest.MonkeyPatch, withheld: frozenset[Disclosure]
) -> None:
    monkeypatch.setattr(mapped, "ROWS", 7)
    path = "/v1/offices/KH/trademarks/records"
    accept = {"Accept": "application/x-ndjson", "Accept-Encoding": "identity"}
    hub.publish(*[mark(number) for number in range(30)])
    with hub.client() as client:
        hub.share(withheld)
        from_store = client.get(path, headers=accept)
        assert "content-length" not in from_store.headers
        monkeypatch.setattr(record_stream, "WORTH_MAPPING", 10)
        assert client.get(path, headers=accept).content == from_store.content
        # The columns are made when the stream has ended.
        deadline = time.monotonic() + 60
        while "content-length" not in (from_columns := client.get(path, headers=accept)).headers:
            assert time.monotonic() < deadline, "the columns were never made"
            time.sleep(0.05)
        assert int(from_columns.headers["content-length"]) == len(from_store.content)
        assert from_columns.content == from_store.content
        packed = client.get(path, headers=accept | {"Accept-Encoding": "gzip"})
        assert packed.content == from_store.content
        (columns,) = hub.exports.store.files.iterdir()
        journals = [file.read_bytes() for file in hub.receipts.rglob("*") if file.is_file()]
        assert any(columns.stem.encode() in journal for journal in journals)
        # A newer state is read from the store, until it has columns of its own.
        hub.publish(mark(30))
        assert client.get(path, headers=accept).text.count("\n") == 31
