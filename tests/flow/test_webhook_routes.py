"""A third party sets its own webhooks; nobody else's, and nobody else does."""

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
    assert tested == {"delivered": False, "trouble": "no connection (ConnectError)"}
    assert inside.call("DELETE", one, ANN).status_code == 204
    assert inside.get(one, ANN).status_code == 404
    assert inside.get(PATH, ANN).json()["items"] == []


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
