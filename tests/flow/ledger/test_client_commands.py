"""The commands that rotate, narrow, widen and limit clients, and the hub's own keys."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from connectors.hub import Hub
from connectors.ledger.public_keys import read_public_key
from connectors.settings import Settings
from iphub.cli import app
from ipregister.errors import ConfigurationError, InvalidRequest

Command = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Hub.create(Settings(home=tmp_path / "hub")).close()
    return tmp_path / "hub"


@pytest.fixture
def command(home: Path) -> Command:
    """Run a command on the hub; return its JSON document."""

    def run(*words: str) -> Any:
        arguments = [*words, "--home", str(home), "--format", "json"]
        answer = CliRunner().invoke(app, arguments)
        if answer.exception is not None:
            raise answer.exception
        return json.loads(answer.stdout)

    return run


def public_pem() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_known_third_party_gets_no_second_client_by_mistake(command: Command) -> None:
    first = command("third-party", "add", "Ann")
    with pytest.raises(InvalidRequest, match=f"already.*{first['clientId']}.*--another"):
        command("third-party", "add", "ANN")
    assert len(command("third-party", "client", "list")["items"]) == 1
    command("third-party", "add", "Ann", "--another")
    command("third-party", "client", "add", "ann", "--name", "Ann's crawler")
    with pytest.raises(InvalidRequest, match="no third party 'Bob'"):
        command("third-party", "client", "add", "Bob")
    clients = command("client", "list", "--third-party", "ann")["items"]
    assert [client["name"] for client in clients] == ["Ann", "Ann", "Ann's crawler"]


def test_a_list_of_clients_says_all_that_opens_each(command: Command, home: Path) -> None:
    client_id = command("third-party", "add", "Ann")["clientId"]

    def proofs() -> str:
        arguments = ["client", "list", "--home", str(home)]
        (line,) = CliRunner().invoke(app, arguments).stdout.splitlines()[1:]
        return line.partition("third_party")[2].partition("active")[0].strip()

    assert proofs() == "secret"
    (key,) = command("client", "add-key", client_id, "--public-key", public_pem())["keys"]
    assert proofs() == "key, secret"
    (listed,) = command("client", "list")["items"]
    assert (listed["hasSecret"], len(listed["keys"])) == (True, 1)
    command("client", "retire-key", client_id, key["kid"])
    assert proofs() == "secret"


def test_a_rotated_secret_lives_beside_the_old_one_until_its_hour(
    command: Command, home: Path
) -> None:
    added = command("third-party", "add", "Ann")
    client_id = added["clientId"]
    rotated = command("client", "rotate-secret", client_id, "--keep-hours", "1")
    assert rotated["clientSecret"] != added["clientSecret"]
    hub, now = Hub.open(Settings(home=home)), datetime.now(UTC)

    def works(secret: str, at: datetime) -> bool:
        return hub.ledger.clients.verify_secret(client_id, secret, at) is not None

    end = datetime.fromisoformat(rotated["othersRefusedFrom"])
    assert timedelta(minutes=59) < end - now <= timedelta(hours=1)
    for secret, at, expected in (
        (added["clientSecret"], now, True),
        (rotated["clientSecret"], now, True),
        (added["clientSecret"], end + timedelta(seconds=1), False),
        (rotated["clientSecret"], end + timedelta(seconds=1), True),
    ):
        assert works(secret, at) is expected
    hub.close()
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    for secret in (added["clientSecret"], rotated["clientSecret"]):
        assert secret.encode() not in kept, "secrets are kept as keyed hashes only"


def test_keys_overlap_while_a_client_changes_over(command: Command) -> None:
    client_id = command("third-party", "add", "Ann", "--public-key", public_pem())["clientId"]
    two = command("client", "add-key", client_id, "--public-key", public_pem())["keys"]
    assert [key["expiresAt"] for key in two] == [None, None]
    retired = command("client", "retire-key", client_id, two[0]["kid"], "--keep-hours", "2")
    ends = {key["kid"]: key["expiresAt"] for key in retired["keys"]}
    assert ends[two[0]["kid"]] is not None
    assert ends[two[1]["kid"]] is None
    with pytest.raises(InvalidRequest, match="no key"):
        command("client", "retire-key", client_id, "unknown")
    with pytest.raises(InvalidRequest, match="public half"):
        command("client", "add-key", client_id)


def test_a_key_whose_identifier_begins_with_a_dash_is_retired(command: Command) -> None:
    pem = next(pem for pem in iter(public_pem, "") if read_public_key(pem)["kid"].startswith("-"))
    client_id = command("third-party", "add", "Ann", "--public-key", pem)["clientId"]
    (key,) = command("client", "add-key", client_id, "--public-key", public_pem())["keys"][:1]
    assert key["kid"].startswith("-")
    with pytest.raises(SystemExit):
        command("client", "retire-key", client_id, key["kid"], "--keep-hour", "2")
    retired = command("client", "retire-key", client_id, key["kid"], "--keep-hours", "2")
    assert retired["keys"][0]["expiresAt"] is not None


def test_a_profile_is_set_shown_and_audited(command: Command, home: Path) -> None:
    client_id = command("third-party", "add", "Ann")["clientId"]
    shown = command("client", "set", client_id, "--dpop", "required", "--das-compat")
    assert (shown["dpop"], shown["dasCompat"], shown["strictAudience"]) == ("required", True, False)
    with pytest.raises(InvalidRequest, match="DAS aims"):
        command("client", "set", client_id, "--strict-audience")
    limited = command("client", "limit", client_id, "--requests", "10", "--rows", "500")
    assert (limited["requestsPerMinute"], limited["rowsPerMinute"]) == (10, 500)
    again = command("client", "limit", client_id, "--requests", "0")
    assert (again["requestsPerMinute"], again["rowsPerMinute"]) == (None, 500)
    with pytest.raises(InvalidRequest, match="what to change"):
        command("client", "set", client_id)
    hub = Hub.open(Settings(home=home))
    history = [e for e in hub.ledger.audit.entries(subject=client_id) if "configured" in e.action]
    assert [entry.after for entry in history] == [
        {"dasCompat": True, "dpopRequired": True},
        {"requestsPerMinute": 10, "rowsPerMinute": 500},
        {"requestsPerMinute": None},
    ]
    hub.close()
    assert command("client", "revoke", client_id)["revokedAt"]
    with pytest.raises(InvalidRequest, match="revoked"):
        command("client", "set", client_id, "--dpop", "optional")


def test_signing_keys_rotate_with_overlap(command: Command, home: Path) -> None:
    (first,) = command("signing-key", "list")["items"]
    before, after = command("signing-key", "rotate", "--keep-days", "30")["items"]
    assert (before["kid"], after["publishedUntil"]) == (first["kid"], None)
    assert before["createdAt"].endswith("Z")
    assert before["publishedUntil"].endswith("Z")
    hub = Hub.open(Settings(home=home))
    keys, now = hub.signing_keys(), datetime.now(UTC)
    assert keys.current(now).kid == after["kid"]
    assert {key["kid"] for key in keys.published(now)} == {before["kid"], after["kid"]}
    later = now + timedelta(days=31)
    assert [key["kid"] for key in keys.published(later)] == [after["kid"]]
    assert all("d" not in key for key in keys.published(now))
    files = list(hub.home.signing_keys.iterdir())
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]
    files[0].write_text("{}")
    with pytest.raises(ConfigurationError, match="not a signing key"):
        keys.all()
    hub.close()


def test_a_hub_of_one_environment_is_refused_by_the_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "IPHUB_ENVIRONMENT" not in os.environ
    monkeypatch.setenv("IPHUB_ENVIRONMENT", "acceptance")
    with pytest.raises(ConfigurationError, match=r"production environment.*says acceptance"):
        Hub.open(Settings(home=home))
    other = home.with_name("acceptance")
    Hub.create(Settings(home=other)).close()
    monkeypatch.delenv("IPHUB_ENVIRONMENT")
    with pytest.raises(ConfigurationError, match="acceptance environment"):
        Hub.open(Settings(home=other))
    # Keys that are good in Acceptance would open Production's records, and the other way round.
    theirs = f"sqlite:///{other}/ledger.sqlite"
    mixed = Settings(home=home, ledger_url=theirs, environment="acceptance")
    with pytest.raises(ConfigurationError, match=r"home belongs to the production.*acceptance"):
        Hub.open(mixed)
    (
        home / "keys" / "environment"
    ).unlink()  # a home from before there was one is that of its ledger
    Hub.open(Settings(home=home)).close()
    with pytest.raises(ConfigurationError, match=r"home belongs to the production"):
        Hub.open(mixed)
