"""A third party sets its own webhooks; nobody else's, and nobody else does."""

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from connectors.networks import read_networks
from ipregister.roles import Role

PATH = "/v1/me/webhooks"
ANN = Role.THIRD_PARTY
GIVEN = {"json": {"url": "http://127.0.0.1:9/hook"}}


@pytest.fixture
def inside(callers: Any) -> Any:
    """Callers of a hub that may call loopback; nobody listens there."""
    networks = read_networks("127.0.0.0/8")
    object.__setattr__(callers.service, "notify_inside", networks)
    return callers


def test_a_webhook_is_added_read_rotated_tested_and_ended(inside: Any) -> None:
    added = inside.post(PATH, ANN, **GIVEN)
    webhook = added.json()
    assert (added.status_code, webhook["secret"][:6]) == (201, "whsec_")
    assert added.headers["location"].endswith(webhook["webhookId"])
    one = f"{PATH}/{webhook['webhookId']}"
    (listed,) = inside.get(PATH, ANN).json()["items"]
    assert "secret" not in listed
    assert inside.get(one, ANN).json()["notifications"] == []
    rotated = inside.post(f"{one}/secret", ANN).json()
    assert rotated["secret"] != webhook["secret"]
    tested = inside.post(f"{one}/test", ANN).json()
    assert tested == {"delivered": False, "trouble": "no connection"}
    assert inside.call("DELETE", one, ANN).status_code == 204
    assert inside.get(PATH, ANN).json()["items"] == []
    ended = inside.get(one, ANN).json()
    assert (bool(ended["endedAt"]), ended["endedBecause"]) == (True, "ended by its client")
    for method, path in (("DELETE", one), ("POST", f"{one}/secret"), ("POST", f"{one}/test")):
        assert inside.call(method, path, ANN).status_code == 404


def test_addresses_inside_are_refused_in_one_sentence(callers: Any) -> None:
    refused = callers.post(PATH, ANN, **GIVEN)
    assert refused.status_code == 400
    assert refused.json()["detail"] == "url: this host is not known on the public internet."
    unknown = callers.post(PATH, ANN, json={"url": "https://a.example/", "secret": "mine"})
    assert (unknown.status_code, "url" in unknown.json()["detail"]) == (400, True)


def test_nobody_but_third_parties_has_webhooks(callers: Any) -> None:
    for role in Role:
        if role is not ANN:
            assert callers.get(PATH, role).status_code == 403
            assert callers.post(PATH, role, **GIVEN).status_code == 403
    assert callers.http.get(PATH).status_code == 401


def test_a_client_has_one_address_called_at_a_time(inside: Any) -> None:
    """Receivers that do not answer must not take the threads that others' answers are made in."""
    asked, may_answer = Event(), Event()

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            asked.set()
            may_answer.wait(10)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(2) as pool:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        one = f"{PATH}/{inside.post(PATH, ANN, json={'url': url}).json()['webhookId']}"
        pool.submit(answer, listening)
        first = pool.submit(inside.post, f"{one}/test", ANN)
        assert asked.wait(10)
        for path, given in ((f"{one}/test", {}), (PATH, GIVEN)):
            refused = inside.post(path, ANN, **given)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert refused.json()["code"] == "busy"
        may_answer.set()
        assert first.result().json() == {"delivered": True, "trouble": None}
    assert inside.post(PATH, ANN, **GIVEN).status_code == 201
