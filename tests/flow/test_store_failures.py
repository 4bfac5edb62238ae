"""A store that fails: every route says so, when to come back, and nothing about the store."""

import io
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from connectors.hub import Hub
from connectors.ledger import Ledger
from connectors.ledger.clients import Clients
from connectors.same_files import LOOK_SECONDS
from connectors.serving_store import Filters
from connectors.settings import Settings
from iphub.serve import service
from ipregister.authorizations import Grant
from ipregister.errors import ConfigurationError, StoreError
from ipregister.model import Right


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


@pytest.mark.parametrize("way", [Hub.open, Hub.create])
def test_a_hub_whose_ledger_is_elsewhere_gets_no_second_one(
    tmp_path: Path, way: Callable[[Settings], Hub]
) -> None:
    """As where IPHUB_LEDGER_URL was forgotten: it would give out numbers the register has."""
    settings = Settings(home=tmp_path / "hub")
    Hub.create(settings).close()
    for path in settings.home.glob("ledger.sqlite*"):
        path.unlink()
    with pytest.raises(ConfigurationError, match="set IPHUB_LEDGER_URL"):
        way(settings)
    assert not list(settings.home.glob("ledger.sqlite*"))


@pytest.mark.parametrize("way", [Hub.open, Hub.create])
def test_a_hub_that_has_worked_begins_no_ledger_in_an_empty_database(
    tmp_path: Path, way: Callable[[Settings], Hub]
) -> None:
    """As where the name of the database is another one than before."""
    home = tmp_path / "hub"
    right, wrong = (f"sqlite:///{tmp_path}/{name}.sqlite" for name in ("right", "wrong"))
    Hub.create(Settings(home=home)).close()
    hub = Hub.open(Settings(home=home, ledger_url=right))  # nothing was delivered yet
    hub.landing.put(io.BytesIO(b"a delivery"))
    hub.close()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="IPHUB_LEDGER_URL names is empty"):
            way(Settings(home=home, ledger_url=wrong))
    Hub.open(Settings(home=home, ledger_url=right)).close()


def test_a_serving_store_that_is_lost_is_not_made_empty(tmp_path: Path) -> None:
    """Readers would be told that every office took every record back."""
    settings = Settings(home=tmp_path / "hub")
    hub = Hub.create(settings)
    hub.landing.put(io.BytesIO(b"a delivery"))
    lost = hub.home.serving
    lost.unlink()
    with pytest.raises(StoreError, match="is missing or empty"):
        hub.serving.reading("KH", Right.TRADEMARKS, Grant(frozenset()), Filters())
    hub.close()
    for path in (lost, *lost.parent.glob("serving.sqlite-*")):
        path.unlink(missing_ok=True)
    for way in (Hub.open, Hub.create):
        with pytest.raises(StoreError, match=r"is missing or empty\. .*iphub rebuild-serving"):
            way(settings)
        assert not lost.exists()
    lost.touch()  # what a file system that was repaired leaves of it
    with pytest.raises(StoreError, match="is missing or empty"):
        Hub.open(settings)


def restore_the_home(home: Path, link: Path) -> None:
    home.rename(home.with_name("before"))
    shutil.copytree(home.with_name("before"), home)


def turn_the_link(home: Path, link: Path) -> None:
    shutil.copytree(home, home.with_name("restored"))
    link.unlink()
    link.symlink_to(home.with_name("restored"))


def replace_one(name: str) -> Callable[[Path, Path], None]:
    def replace(home: Path, link: Path) -> None:
        shutil.copy(home / name, home / "copy")
        (home / "copy").replace(home / name)

    return replace


@pytest.mark.parametrize(
    "happens",
    [
        restore_the_home,
        turn_the_link,
        replace_one("ledger.sqlite"),
        replace_one("serving.sqlite"),
        lambda home, link: home.rename(home.with_name("elsewhere")),
    ],
)
def test_files_that_were_replaced_are_not_answered_from(
    tmp_path: Path, happens: Callable[[Path, Path], None]
) -> None:
    """An office's next decision goes into what is there now, and this process would not see it."""
    home, link, at = tmp_path / "hub", tmp_path / "link", datetime.now(UTC)
    Hub.create(Settings(home=home)).close()
    link.symlink_to(home)
    hub = Hub.open(Settings(home=link))
    client, secret = hub.ledger.clients.add(name="one", third_party="Ann", at=at, by="test")
    token = secrets.token_urlsafe()
    digest = sha256(token.encode()).digest()
    hub.ledger.tokens.issue(client.clientId, digest, at + timedelta(minutes=10), at)
    http = TestClient(create_app(service(hub, "http://hub.test")))
    who = {"Authorization": f"Bearer {token}"}
    assert http.get("/v1/me", headers=who).status_code == 200
    happens(home, link)
    sleep(2 * LOOK_SECONDS + 0.05)
    for path in ("/readyz", "/v1/me", "/v1/changes"):
        assert http.get(path, headers=who).status_code == 503
    asked = {"client_id": client.clientId, "client_secret": secret}
    issued = http.post("/oauth2/token", data=asked | {"grant_type": "client_credentials"})
    assert issued.status_code == 503
    hub.close()
