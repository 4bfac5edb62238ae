"""The door every office route stands behind: each role, each act, each office."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import Response

from api.app import create_app
from api.office_access import office_access
from api.service import Service
from connectors.cursors import Cursors
from connectors.ledger import Access, Ledger
from connectors.receipts.journal import Journal
from connectors.serving_store import ServingStore
from ipregister.model import Right
from ipregister.roles import HUB_ROLES, MAY, OFFICE_ROLES, Act, Role

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class World:
    """A hub with one more route, which asks for any act at any office."""

    def __init__(self, home: Path) -> None:
        self.ledger = Ledger.open(f"sqlite:///{home}/ledger.sqlite", pepper=b"p" * 32)
        self.serving = ServingStore(home / "serving.sqlite")
        cursors = Cursors(b"k" * 32)
        self.service = Service(
            self.ledger,
            self.serving,
            cursors,
            "http://hub",
            lambda: NOW,
            receipts=Journal(home / "receipts"),
        )
        app = create_app(self.service)

        async def door(request: Request) -> Response:
            act = Act(request.query_params["act"])
            office = request.path_params["office"]
            found = office_access(request, self.service, office, may=act)
            return Response(found.clientId) if isinstance(found, Access) else found

        app.router.add_route("/door/{office}", door)
        self.http = TestClient(app)

    def client(self, role: Role) -> str:
        """Add a client of the role (at Cambodia, where it is of an office)."""
        made, _ = self.ledger.clients.add(
            name="a",
            role=role,
            third_party="Ann" if role is Role.THIRD_PARTY else None,
            office="KH" if role in OFFICE_ROLES else None,
            at=NOW,
            by="test",
        )
        return made.clientId

    def ask(self, client: str, office: str, act: Act, scope: str | None = None) -> httpx.Response:
        token = secrets.token_hex()
        expires = NOW + timedelta(minutes=5)
        self.ledger.tokens.issue(client, sha256(token.encode()).digest(), expires, NOW, scope)
        headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "the-same-one"}
        return self.http.get(f"/door/{office}", params={"act": act}, headers=headers)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = World(tmp_path)
    with opened.http:
        yield opened
    opened.serving.close()
    opened.ledger.close()


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("role", sorted(OFFICE_ROLES))
def test_an_office_client_does_at_its_office_what_its_role_may(
    world: World, role: Role, act: Act
) -> None:
    client = world.client(role)
    answer = world.ask(client, "KH", act)
    assert answer.status_code == (200 if act in MAY[role] else 403)
    if act not in MAY[role]:
        assert answer.json()["code"] == "forbidden"
    nowhere = world.ask(client, "XX", act)
    assert nowhere.status_code == 404
    for other in ("TH", "kh", "VN"):
        assert world.ask(client, other, act).content == nowhere.content


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("role", sorted(HUB_ROLES))
def test_who_is_of_no_office_does_the_same_at_each(world: World, role: Role, act: Act) -> None:
    client = world.client(role)
    for office in ("KH", "TH"):
        assert world.ask(client, office, act).status_code == (200 if act in MAY[role] else 403)
    assert world.ask(client, "XX", act).status_code == 404


@pytest.mark.parametrize("act", Act)
def test_for_a_third_party_there_are_no_offices(world: World, act: Act) -> None:
    client = world.client(Role.THIRD_PARTY)
    world.ledger.authorizations.set("KH", "Ann", {Right.PATENTS: ()}, None, NOW, "test")
    answers = {world.ask(client, office, act).content for office in ("KH", "TH", "XX")}
    assert len(answers) == 1
    assert world.ask(client, "KH", act).status_code == 404


def test_a_scope_narrows_a_token_and_widens_none(world: World) -> None:
    client = world.client(Role.OFFICE_VIEWER)
    assert world.ask(client, "KH", Act.READ_COUNTS, "counts:read").status_code == 200
    assert world.ask(client, "KH", Act.READ_REPORTS, "counts:read").status_code == 403
    assert world.ask(client, "KH", Act.PUSH, "packages:write").status_code == 403


def test_without_a_token_nothing_is_told(world: World) -> None:
    answers = [world.http.get(f"/door/{office}?act={Act.PUSH}") for office in ("KH", "XX")]
    assert [answer.status_code for answer in answers] == [401, 401]


@pytest.mark.parametrize("role", Role)
def test_a_token_is_asked_for_with_the_scopes_of_the_role(world: World, role: Role) -> None:
    third = role is Role.THIRD_PARTY
    made, secret = world.ledger.clients.add(
        name="b",
        role=role,
        third_party="Bob" if third else None,
        office="KH" if role in OFFICE_ROLES else None,
        at=NOW,
        by="test",
    )
    form = {"grant_type": "client_credentials", "client_id": made.clientId}
    asked = " ".join([*Act, "changes:read"])
    answer = world.http.post("/oauth2/token", data=form | {"client_secret": secret, "scope": asked})
    granted = set(answer.json()["scope"].split())
    assert granted == ({"changes:read"} if third else set(MAY[role]))
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    told = world.http.get("/v1/me", headers=headers).json()
    assert (told["role"], set(told.get("may", ()))) == (role, set(MAY[role]))
