"""The commands about third parties, authorizations and the audit chain, on a fresh hub."""

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner

from connectors.hub import Hub
from connectors.ledger import DeliveredFile
from connectors.settings import Settings
from iphub import authorizations, deliveries, ledger, office_clients, third_parties
from ipregister.deliveries import Kind, State
from ipregister.errors import InvalidRequest
from ipregister.model import Right

Command = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Hub.create(Settings(home=tmp_path / "hub")).close()
    return tmp_path / "hub"


@pytest.fixture
def command(home: Path) -> Command:
    """Run a command on the hub; return its JSON document."""
    app = typer.Typer()
    app.add_typer(third_parties.app, name="third-party")
    app.add_typer(authorizations.app, name="authorization")
    app.command("deliveries")(deliveries.deliveries)
    app.add_typer(ledger.app, name="ledger")
    app.add_typer(office_clients.app, name="office-client")

    def run(*words: str, code: int = 0, text: bool = False, stdin: str | None = None) -> Any:
        arguments = [*words, "--home", str(home), "--format", "text" if text else "json"]
        answer = CliRunner().invoke(app, arguments, input=stdin)
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        assert answer.exit_code == code, answer.output
        return answer.stdout if text else json.loads(answer.stdout)

    return run


PAIR = ("--office", "kh", "--third-party", "ann")


def test_a_third_party_gets_a_secret_once(command: Command, home: Path) -> None:
    added = command("third-party", "add", "Ann", "--by", "Sok")
    assert (added["thirdParty"], added["addedBy"], added["keys"]) == ("Ann", "Sok", [])
    hub = Hub.open(Settings(home=home))
    now = datetime.now(UTC)
    assert hub.ledger.clients.verify_secret(added["clientId"], added["clientSecret"], now)
    hub.close()
    listed = command("third-party", "list")
    del added["clientSecret"]
    assert listed == {"items": [{"name": "Ann", "clients": [added | {"hasSecret": True}]}]}
    assert "Ann" in command("third-party", "list", text=True)


@pytest.mark.parametrize("way", ["file", "text", "stdin"])
def test_a_third_party_with_a_key_gets_no_secret(
    command: Command, tmp_path: Path, way: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (tmp_path / "key.pem").write_text(pem)
    source = {"file": str(tmp_path / "key.pem"), "text": pem, "stdin": "-"}[way]
    added = command("third-party", "add", "Ann", "--public-key", source, stdin=pem)
    assert "clientSecret" not in added
    assert added["keys"][0]["alg"] == "ES256"


def test_a_private_key_is_not_registered(command: Command, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(InvalidRequest, match="private key"):
        command("third-party", "add", "Ann", "--public-key", str(tmp_path / "key.pem"))
    with pytest.raises(InvalidRequest, match="neither a key nor a readable file"):
        command("third-party", "add", "Ann", "--public-key", str(tmp_path / "missing"))
    assert command("third-party", "list") == {"items": []}


def test_a_client_is_revoked(command: Command) -> None:
    client = command("third-party", "add", "Ann")["clientId"]
    assert command("third-party", "revoke-client", client)["revokedAt"]
    assert "revoked" in command("third-party", "list", text=True)


def test_a_preview_says_what_may_name_persons(command: Command) -> None:
    command("third-party", "add", "Ann")
    shown = (
        "authorization",
        "preview",
        *PAIR,
        "--rights",
        "trademarks",
        "--withhold",
        "stakeholder",
    )
    told = command(*shown, text=True)
    assert "  without applicants (stakeholder)\n" in told
    assert "  may name persons: markVerbalElements, " in told
    assert ", statusEvents.officeText" in told
    assert ", statusEvents.officeText" not in command(*shown, "--drop-free-text", text=True)


def test_an_authorization_is_set_shown_and_revoked(command: Command) -> None:
    command("third-party", "add", "Ann")
    until = ("--valid-until", "2999-12-31")
    withhold = ("--withhold", "examination", "--withhold", "trademarks:stakeholder,status_change")
    rights = ("--rights", "patents,trademarks")
    first = command("authorization", "set", *PAIR, *rights, *withhold, *until, "--by", "Sok")
    assert (first["version"], first["validUntil"], first["setBy"]) == (1, "2999-12-31", "Sok")
    assert [(right["right"], right["withheld"]) for right in first["rights"]] == [
        ("patents", ["examination"]),
        ("trademarks", ["stakeholder", "status_change", "examination"]),
    ]
    assert command("authorization", "show", *PAIR) == first | {"history": []}
    second = command("authorization", "set", *PAIR, "--rights", "designs")
    assert command("authorization", "show", *PAIR) == second | {"history": [first]}
    assert "designs: everything\n" in command("authorization", "show", *PAIR, text=True)
    revoked = command("authorization", "revoke", *PAIR)
    assert (revoked["version"], revoked["revoked"], revoked["rights"]) == (3, True, [])
    assert command("authorization", "list", "--office", "KH") == {"items": [revoked]}
    assert command("authorization", "list", "--office", "TH") == {"items": []}
    assert "nothing: revoked" in command("authorization", "list", text=True)


def test_what_makes_no_sense_is_refused(command: Command) -> None:
    command("third-party", "add", "Ann")
    with pytest.raises(InvalidRequest, match="core cannot be withheld"):
        command("authorization", "set", *PAIR, "--rights", "patents", "--withhold", "core")
    with pytest.raises(InvalidRequest, match="never shared"):
        command("authorization", "show", *PAIR)


def test_the_chain_is_checked(command: Command, home: Path) -> None:
    command("third-party", "add", "Ann")
    command("authorization", "set", *PAIR, "--rights", "patents", "--by", "Sok")
    answer = command("ledger", "verify")
    assert (answer["intact"], answer["head"]["seq"], answer["broken"]) == (True, 2, None)
    assert "2 rows" in command("ledger", "verify", text=True)
    connection = sqlite3.connect(home / "ledger.sqlite")
    connection.execute("DROP TRIGGER audit_no_update")
    connection.execute("UPDATE audit SET actor = 'someone else' WHERE seq = 2")
    connection.commit()
    connection.close()
    broken = {"seq": 2, "reason": "was changed after it was written"}
    answer = command("ledger", "verify", code=1)
    assert answer == {"intact": False, "head": None, "broken": broken, "brokenSeals": []}
    assert "from row 2 on" in command("ledger", "verify", text=True, code=1)


def test_an_office_gets_clients_of_each_role(command: Command) -> None:
    manager = command("office-client", "add", "--office", "kh")
    viewer = command("office-client", "add", "--office", "KH", "--role", "office_viewer", "Ann's")
    other = command("office-client", "add", "--role", "coordinator")
    assert (manager["office"], manager["role"], manager["name"]) == (
        *("KH", "office_data_manager"),
        "KH office_data_manager",
    )
    assert (viewer["role"], viewer["name"]) == ("office_viewer", "Ann's")
    assert (other["office"], other["role"]) == (None, "coordinator")
    assert len({manager["clientSecret"], viewer["clientSecret"], other["clientSecret"]}) == 3
    command("third-party", "add", "Ann")
    made = [manager["clientId"], viewer["clientId"], other["clientId"]]
    listed = command("office-client", "list")["items"]
    assert [item["clientId"] for item in listed] == made
    assert len(command("office-client", "list", "--office", "KH")["items"]) == 2
    assert command("office-client", "revoke", viewer["clientId"])["revokedAt"]
    assert "revoked" in command("office-client", "list", text=True)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("add",), "--office KH for an office, --role coordinator"),
        (("add", "--role", "office_viewer"), "name the office"),
        (("add", "--role", "operator", "--office", "KH"), "leave out office"),
        (("revoke", "tp-1"), "iphub office-client list"),
    ],
)
def test_an_office_client_that_makes_no_sense_is_refused_with_advice(
    command: Command, words: tuple[str, ...], advice: str
) -> None:
    with pytest.raises(InvalidRequest, match=advice):
        command("office-client", *words)


def test_a_third_partys_client_is_not_revoked_as_an_offices(command: Command) -> None:
    client = command("third-party", "add", "Ann")["clientId"]
    with pytest.raises(InvalidRequest, match="no office client"):
        command("office-client", "revoke", client)


def test_the_history_is_narrowed_as_the_api_narrows_it(command: Command, home: Path) -> None:
    hub = Hub.open(Settings(home=home))
    day = datetime(2026, 3, 4, tzinfo=UTC)
    for number, right in enumerate([Right.PATENTS, Right.DESIGNS, Right.PATENTS]):
        state = State.REJECTED if number == 2 else State.RECEIVED
        files = [DeliveredFile("a.zip", f"{number:064}", 1)]
        at = day.replace(day=4 + number)
        hub.ledger.deliveries.record("VN", right, Kind.UPDATE, "local", files, at, "Lan", state)
    hub.close()

    def days(*words: str) -> list[str]:
        found = command("deliveries", "--office", "vn", *words)["items"]
        return [item["receivedAt"][8:10] for item in found]

    assert days() == ["06", "05", "04"]
    assert days("--right", "patents") == ["06", "04"]
    assert days("--state", "rejected") == ["06"]
    assert days("--state", "rejected", "--state", "received", "--limit", "2") == ["06", "05"]
    assert days("--since", "2026-03-05") == ["06", "05"]
    assert days("--since", "2026-03-05T00:00:01Z") == ["06"]


def test_a_user_without_a_name_is_a_number_in_the_ledger(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2_000_000_000)
    command("third-party", "add", "Ann")
    decided = command("authorization", "set", *PAIR, "--rights", "trademarks")
    assert decided["setBy"] == "uid 2000000000"
