"""Quotas: told on every answer, refused with a reason, shared by workers, blind to hidden data."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.limits import Limits, admit
from connectors.buckets import Buckets, Rate
from connectors.counters import Counters
from connectors.ledger import ClientChanges
from connectors.serving_store import Publication, ServingRow
from ipregister.model import Right

World = Any
RECORDS = "/v1/offices/KH/trademarks/records"
RATE = Rate((10.0, 100.0), (1.0, 10.0))
ANY = (float("-inf"), float("-inf"))


@pytest.fixture
def token(world: World) -> str:
    form = {"client_id": world.client_id, "client_secret": world.secret}
    return str(world.token(form).json()["access_token"])


@pytest.fixture
def published(world: World) -> None:
    rows = [ServingRow(f"r{n}", n, f"KH/{n}", {"core": b'{"recordId":"r%d"' % n}) for n in range(5)]
    world.service.serving.publish(
        Publication("d1", "KH", Right.TRADEMARKS, world.now[0], iter(rows))
    )


def get(world: World, token: str, path: str = "/v1/me") -> Any:
    return world.http.get(path, headers={"Authorization": f"Bearer {token}"})


def left(answer: Any) -> dict[str, tuple[int, int]]:
    """Return what is left of each quota, and in how many seconds it is full."""
    found = re.findall(r'"(\w+)";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    return {name: (int(remaining), int(seconds)) for name, remaining, seconds in found}


def limit(world: World, **quotas: int) -> None:
    changes = ClientChanges(**quotas)
    world.service.ledger.clients.configure(world.client_id, changes, at=world.now[0], by="test")


def test_every_answer_tells_quota_and_rest(world: World, token: str) -> None:
    answers = [
        get(world, token),
        get(world, token, RECORDS),
        get(world, token, f"{RECORDS}/none"),
        get(world, token, "/v1/offices/XX/trademarks/records"),
        get(world, token, "/v1/changes"),
        get(world, token, "/v1/me?unknown=1"),
        world.http.head("/v1/me", headers={"Authorization": f"Bearer {token}"}),
    ]
    policy = '"requests";q=1000;w=60, "rows";q=10000;w=60'
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {policy}
    assert [left(answer)["requests"][0] for answer in answers] == list(range(999, 992, -1))
    assert "ratelimit" not in world.http.get("/v1/me").headers, "nobody, nothing to count"


def test_rows_are_counted_as_they_are_sent(world: World, token: str, published: None) -> None:
    for path, rest in (
        (RECORDS, 9_995),
        (f"{RECORDS}?limit=2", 9_993),
        (f"{RECORDS}/r1", 9_992),
        (f"{RECORDS}/none", 9_992),
        ("/v1/changes", 9_987),
    ):
        answer = get(world, token, path)
        assert left(answer)["rows"][0] == rest, (path, answer.text)
    tagged = get(world, token, f"{RECORDS}/r1")
    headers = {"Authorization": f"Bearer {token}", "If-None-Match": tagged.headers["etag"]}
    unchanged = world.http.get(f"{RECORDS}/r1", headers=headers)
    assert (unchanged.status_code, left(unchanged)["rows"][0]) == (304, 9_986)


def test_a_refusal_says_which_quota_and_when_to_go_on(world: World, token: str) -> None:
    limit(world, requestsPerMinute=3)
    assert [get(world, token).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = get(world, token)
    problem = refused.json()
    assert refused.headers["retry-after"] == "20"
    assert (problem["code"], problem["limits"]) == ("quota_exceeded", ["requests"])
    assert (problem["retryAfterSeconds"], problem["resetsAt"]) == (20, "2026-05-01T12:00:20Z")
    assert "3 requests a minute" in problem["detail"]
    assert refused.headers["cache-control"] == "no-store"
    assert left(refused)["requests"] == (0, 60)
    world.now[0] += timedelta(seconds=20)
    assert get(world, token).status_code == 200
    assert get(world, token).status_code == 429


def test_a_large_answer_is_sent_whole_and_paid_by_waiting(
    world: World, token: str, published: None
) -> None:
    limit(world, rowsPerMinute=3)
    whole = get(world, token, RECORDS)
    assert len(whole.json()["items"]) == 5
    refused = get(world, token, RECORDS)
    assert (refused.status_code, refused.json()["limits"]) == (429, ["rows"])
    assert refused.headers["retry-after"] == "60", "two rows too many and one to go on"
    told = get(world, token, "/v1/me").json()["quota"]["rows"]
    assert (told["remaining"], told["fullAgainInSeconds"]) == (0, 100)
    world.now[0] += timedelta(seconds=60)
    assert get(world, token, RECORDS).status_code == 200


def test_me_tells_the_quota(world: World, token: str) -> None:
    limit(world, rowsPerMinute=600)
    assert get(world, token).json()["quota"] == {
        "requests": {
            "limit": 1_000,
            "windowSeconds": 60,
            "remaining": 999,
            "fullAgainInSeconds": 1,
        },
        "rows": {"limit": 600, "windowSeconds": 60, "remaining": 600, "fullAgainInSeconds": 0},
    }


def statuses(world: World, form: dict[str, str], times: int) -> list[int]:
    return [world.token(form).status_code for _ in range(times)]


def test_tokens_are_limited_too_and_counted_apart(world: World) -> None:
    form = {"client_id": world.client_id, "client_secret": world.secret}
    limit(world, requestsPerMinute=3)
    token = world.token(form).json()["access_token"]
    assert statuses(world, form, 61) == [200] * 59 + [429] * 2
    refused = world.http.post("/oauth2/introspect", data=form | {"token": "x"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["error"] == "temporarily_unavailable"
    assert refused.headers["cache-control"] == "no-store"
    assert get(world, token).status_code == 200
    # It was no failed attempt, and other clients are not held back.
    assert statuses(world, form, 12) == [429] * 12
    assert statuses(world, form | {"client_secret": "wrong"}, 1) == [401]
    assert world.token(world.signed()).status_code == 200
    world.now[0] += timedelta(seconds=1)
    assert statuses(world, form, 2) == [200, 429]
    limit(world, requestsPerMinute=6_000)
    world.now[0] += timedelta(seconds=1)
    assert statuses(world, form, 11) == [200] * 10 + [429]


def test_a_used_assertion_uses_up_no_calls_of_its_client(world: World) -> None:
    caught = world.signed()
    assert statuses(world, caught, 90) == [200] + [401] * 89
    assert statuses(world, world.signed("j2"), 1) == [200]


def test_one_client_does_not_use_up_anothers_quota(world: World, token: str) -> None:
    limit(world, requestsPerMinute=1)
    other = world.token(world.signed()).json()["access_token"]
    assert [get(world, token).status_code for _ in range(2)] == [200, 429]
    assert get(world, other).status_code == 200


def test_tokens_of_one_client_share_its_quota(world: World, token: str) -> None:
    limit(world, requestsPerMinute=1)
    form = {"client_id": world.client_id, "client_secret": world.secret}
    second = world.token(form).json()["access_token"]
    assert [get(world, each).status_code for each in (token, second)] == [200, 429]


# --- the buckets -----------------------------------------------------------------------------


@pytest.fixture
def buckets(tmp_path: Path) -> Iterator[Buckets]:
    opened = Buckets(tmp_path / "buckets", key=b"k" * 32, sets=2)
    yield opened
    opened.close()


def take(buckets: Buckets, name: str, now: float, taken: tuple[float, float] = (1.0, 0.0)) -> Any:
    return buckets.take(buckets.name(name), RATE, now, needed=(1.0, 1.0), taken=taken)


def test_a_bucket_refills_up_to_its_capacity(buckets: Buckets) -> None:
    assert take(buckets, "a", 0.0, (4.0, 50.0)) == (True, (6.0, 50.0))
    assert take(buckets, "a", 2.0) == (True, (7.0, 70.0))
    assert take(buckets, "a", 100.0) == (True, (9.0, 100.0))


def test_a_clock_that_is_set_back_gives_and_takes_nothing(buckets: Buckets) -> None:
    assert take(buckets, "a", 100.0, (9.5, 0.0))[1] == (0.5, 100.0)
    assert take(buckets, "a", 40.0) == (False, (0.5, 100.0))
    assert take(buckets, "a", 41.0)[1][0] == 0.5


def test_an_overdraft_is_bounded(buckets: Buckets) -> None:
    assert take(buckets, "a", 0.0, (0.0, 1e9))[1] == (10.0, -100.0)
    assert take(buckets, "a", 10.0)[0] is False
    assert take(buckets, "a", 10.2)[0] is True


def test_the_longest_unused_name_gives_way(buckets: Buckets) -> None:
    take(buckets, "mine", 1_000.0, (10.0, 0.0))
    for number in range(200):
        take(buckets, "mine", 1_000.0)
        take(buckets, f"other {number}", float(number))
    assert take(buckets, "mine", 1_000.0)[0] is False


def test_what_workers_count_has_its_room_before_anything_is_counted(tmp_path: Path) -> None:
    """A worker that writes to a mapped page for which a full disk has no room is killed."""
    Buckets(tmp_path / "buckets", key=b"k" * 32).close()
    Counters(tmp_path, 1_024, "layout")
    for path in sorted(tmp_path.iterdir()):
        kept = path.stat()
        assert kept.st_blocks * 512 >= kept.st_size > 0, path.name


def _count(path: Path, tries: int) -> int:
    opened = Buckets(path, key=b"k" * 32, sets=2)
    name = opened.name("shared")
    rate = Rate((500.0, 1.0), (0.0, 0.0))
    return sum(
        opened.take(name, rate, 0.0, needed=(1.0, 0.0), taken=(1.0, 0.0))[0] for _ in range(tries)
    )


def test_processes_and_threads_share_a_bucket_exactly(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    with get_context("spawn").Pool(2) as pool:
        of_processes = pool.starmap(_count, [(path, 200)] * 2)
    with ThreadPoolExecutor(4) as threads:
        of_threads = list(threads.map(lambda _: _count(path, 100), range(4)))
    assert sum(of_processes) + sum(of_threads) == 500


def ask(worker: Limits, requests: int, at: datetime) -> int | None:
    """Send a request to a worker; return how many are left, ``None`` for a refusal."""
    access: Any = SimpleNamespace(clientId="c1", requestsPerMinute=requests, rowsPerMinute=None)
    request: Any = SimpleNamespace(scope={"path": "/v1/offices", "requestId": "r", "headers": []})
    refused = admit(request, access, worker, at)
    return None if refused else int(request.scope["meter"].account.levels[0])


@pytest.fixture
def workers(tmp_path: Path) -> list[Limits]:
    path = tmp_path / "buckets"
    opened = [Buckets(path, key=b"k" * 32) for _ in range(2)]
    return [Limits(each, each, requests=1, rows=1_000) for each in opened]


def test_a_worker_owes_a_large_bucket_a_thousandth_of_it_for_a_moment(
    workers: list[Limits],
) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    one, other = workers
    assert [ask(one, 6_000, now) for _ in range(6)] == [5_999, 5_998, 5_997, 5_996, 5_995, 5_994]
    assert ask(other, 6_000, now) == 5_998, "of the first worker's six it knows one"
    assert ask(one, 6_000, now) == 5_992, "the sixth more is one too many to owe"
    now += timedelta(seconds=1)  # 100 come back
    assert ask(other, 6_000, now) == 5_999


def test_no_client_gets_a_request_too_many_from_a_worker(workers: list[Limits]) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert sum(ask(workers[0], 5_000, now) is not None for _ in range(5_500)) == 5_000
    assert ask(workers[1], 5_000, now) is None
    assert [ask(workers[0], 5, now), ask(workers[0], 5_000, now)] == [None, None]


def test_what_is_told_depends_on_what_was_asked_and_got_alone(
    oauth: Any, tmp_path: Path, published: None, world: World
) -> None:
    """A hub with hidden records counts like one without them."""
    folder = tmp_path / "twin"
    folder.mkdir()
    with oauth.open_world(folder) as twin:
        told = []
        for hub in (world, twin):
            hub.service.ledger.authorizations.revoke("KH", "Acme", hub.now[0], "test")
            form = {"client_id": hub.client_id, "client_secret": hub.secret}
            token = str(hub.token(form).json()["access_token"])
            paths = [RECORDS, f"{RECORDS}/r1", "/v1/changes", "/v1/offices", "/v1/me"]
            told.append([get(hub, token, path).headers["ratelimit"] for path in paths])
        assert told[0] == told[1]
