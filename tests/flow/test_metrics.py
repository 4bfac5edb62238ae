"""What monitoring reads: true counts of all workers, no identifier, nobody from outside."""

from pathlib import Path
from typing import Any

import pytest

from api.metrics import Metrics
from connectors.counters import forget
from connectors.networks import read_networks
from ipregister.roles import Role

World = Any
LOCAL, REMOTE = ("127.0.0.1", 50_000), ("192.0.2.1", 50_000)


def scrape(world: World, peer: tuple[str, int] = LOCAL, **headers: str) -> Any:
    world.http._transport.client = peer
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return world.http.get("/metrics", headers=sent)


def test_answers_are_counted_by_route_and_status(world: World) -> None:
    form = {"client_id": world.client_id, "client_secret": world.secret}
    token = world.token(form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("KH/trademarks/records/secret-1", "KH/trademarks/records/secret-2"):
        assert world.http.get(f"/v1/offices/{path}", headers=headers).status_code == 404
    world.http.head("/v1/me", headers=headers)
    world.http.get("/nowhere/secret-3")
    text = scrape(world).text
    record = 'route="/v1/offices/{office}/{right}/records/{recordId}"'
    assert f'iphub_http_requests_total{{{record},status="404"}} 2' in text
    assert 'iphub_http_requests_total{route="/v1/me",status="200"} 1' in text
    assert 'iphub_http_requests_total{route="none",status="404"} 1' in text
    assert f"iphub_http_request_duration_seconds_count{{{record}}} 2" in text
    assert f'iphub_http_request_duration_seconds_bucket{{{record},le="+Inf"}} 2' in text
    for secret in ("secret", world.client_id, token, "Acme"):
        assert secret not in text


def test_only_operators_and_this_machine_read_them(world: World) -> None:
    clients, now = world.service.ledger.clients, world.now[0]
    operator, secret = clients.add(name="op", role=Role.OPERATOR, at=now, by="test")

    def bearer(client_id: str, secret: str) -> str:
        form = {"client_id": client_id, "client_secret": secret}
        return f"Bearer {world.token(form).json()['access_token']}"

    statuses = {
        "here": scrape(world).status_code,
        "from elsewhere": scrape(world, REMOTE).status_code,
        "through a proxy": scrape(world, X_Forwarded_For="192.0.2.1").status_code,
        "through another": scrape(world, Forwarded="for=192.0.2.1").status_code,
        "third party": scrape(
            world, REMOTE, Authorization=bearer(world.client_id, world.secret)
        ).status_code,
        "third party here": scrape(
            world, Authorization=bearer(world.client_id, world.secret)
        ).status_code,
        "operator": scrape(
            world, REMOTE, Authorization=bearer(operator.clientId, str(secret))
        ).status_code,
    }
    assert statuses == {
        "here": 200,
        "from elsewhere": 401,
        "through a proxy": 401,
        "through another": 401,
        "third party": 403,
        "third party here": 403,
        "operator": 200,
    }


def test_a_proxy_on_this_machine_is_not_this_machine(oauth: Any, tmp_path: Path) -> None:
    with oauth.open_world(tmp_path, proxies=read_networks("127.0.0.1")) as world:
        assert scrape(world).status_code == 401


def test_workers_are_added_up_and_forgotten_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = []
    for process in (101, 102):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        workers.append(Metrics(tmp_path, ["/a"]))
    for worker in workers:
        worker.observe("/a", 200, 0.004)
        worker.observe("/a", 299, 20.0)
    expected = 'iphub_http_requests_total{route="/a",status="200"} 2'
    for worker in workers:
        text = worker.exposition()
        assert expected in text
        assert 'iphub_http_requests_total{route="/a",status="other"} 2' in text
        assert 'bucket{route="/a",le="0.0025"} 0' in text
        assert 'bucket{route="/a",le="0.005"} 2' in text
        assert 'bucket{route="/a",le="10.0"} 2' in text
        assert 'bucket{route="/a",le="+Inf"} 4' in text
    forget(tmp_path)
    assert list(tmp_path.iterdir()) == []
