"""A store that fails: every route says so, when to come back, and nothing about the store."""

from typing import Any

import pytest

from connectors.ledger import Ledger
from connectors.ledger.clients import Clients
from ipregister.errors import StoreError


def fail(*_: object, **__: object) -> None:
    raise StoreError("postgresql://hub:secret@database is away")


def made(attacked: Any, method: str, template: str) -> tuple[str, dict[str, Any]]:
    """Return what a route takes, while there still is a ledger to make it."""
    return attacked.path(template), attacked.body(method, template)


def test_a_ledger_that_fails_is_told_at_every_route_that_needs_it(
    attacked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = attacked.described()
    needs = [route for route, told in routes.items() if "503" in told["responses"]]
    assert {"GET /readyz", "POST /oauth2/token", "GET /v1/changes", "GET /metrics"} <= set(needs)
    asked = [(*route.split(), *made(attacked, *route.split())) for route in needs]
    monkeypatch.setattr(Ledger, "access", fail)
    for name in ("verify_secret", "to_authenticate"):
        monkeypatch.setattr(Clients, name, fail)
    for method, template, path, body in asked:
        who = None if template.startswith("/oauth2/") else "granted"
        answer = attacked.ask(method, path, who, **body)
        assert answer.status_code == 503, (method, template)
        assert answer.json()["code"] == "store"
        assert int(answer.headers["retry-after"]) > 0
        assert "secret" not in answer.text
    assert attacked.http.get("/healthz").status_code == 200
