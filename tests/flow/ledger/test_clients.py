"""Clients and third parties: secrets, keys, and who may be one, on both databases."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import create_engine, text

from connectors.ledger import Client, ClientChanges, Ledger
from connectors.ledger.schema import METADATA
from ipregister.errors import ConfigurationError, InvalidClient, InvalidRequest

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HASH = sha256(b"an access token").digest()
BY: dict[str, Any] = {"at": AT, "by": "operator"}


def public_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def test_a_secret_opens_its_own_client_only(ledger: Ledger) -> None:
    client, secret = ledger.clients.add(name="a", third_party="Ann", **BY)
    other, other_secret = ledger.clients.add(name="b", office="KH", **BY)
    assert secret is not None
    assert other_secret is not None
    verify = ledger.clients.verify_secret
    assert verify(client.clientId, secret, AT) == client == ledger.clients.by_id(client.clientId)
    for name, wrong in [
        (client.clientId, other_secret),
        (client.clientId, secret + "x"),
        (client.clientId, ""),
        (client.clientId, "\ud800"),
        (other.clientId, secret),
        ("nobody", secret),
    ]:
        assert verify(name, wrong, AT) is None


def test_what_leaked_is_worth_nothing_and_neither_are_its_tokens(
    ledger: Ledger, client: Client
) -> None:
    other, _ = ledger.clients.add(name="b", third_party="Ann", **BY)
    theirs = sha256(b"another client's").digest()
    ledger.tokens.issue(other.clientId, theirs, AT + MINUTE, AT)
    ledger.clients.rotate_secret(client.clientId, **BY, keep=MINUTE)
    assert ledger.access(HASH, AT) is not None, "changing over takes its time"
    ledger.clients.rotate_secret(client.clientId, **BY)
    assert ledger.access(HASH, AT) is None
    ledger.tokens.issue(client.clientId, HASH, AT + MINUTE, AT)
    pem = public_pem(ec.generate_private_key(ec.SECP256R1()))
    key = ledger.clients.add_key(client.clientId, pem, **BY)
    ledger.clients.retire_key(client.clientId, key.kid, **BY, until=AT + MINUTE)
    assert ledger.access(HASH, AT) is not None
    ledger.clients.retire_key(client.clientId, key.kid, **BY)
    assert ledger.access(HASH, AT) is None
    assert ledger.access(theirs, AT) is not None


def test_who_must_prove_a_key_has_no_other_tokens_left(ledger: Ledger, client: Client) -> None:
    bound = sha256(b"bound").digest()
    ledger.tokens.issue(client.clientId, bound, AT + MINUTE, AT, key_thumbprint="k" * 43)
    ledger.clients.configure(client.clientId, ClientChanges(strictAudience=True), **BY)
    assert ledger.access(HASH, AT) is not None
    ledger.clients.configure(client.clientId, ClientChanges(dpopRequired=True), **BY)
    assert ledger.access(HASH, AT) is None
    assert ledger.access(bound, AT) is not None


def test_a_secret_is_kept_nowhere(ledger: Ledger, url: str) -> None:
    client, secret = ledger.clients.add(name="a", third_party="Ann", **BY)
    rotated = ledger.clients.rotate_secret(client.clientId, **BY)
    assert secret is not None
    engine = create_engine(url)
    with engine.connect() as connection:
        stored = "\n".join(
            str(tuple(row))
            for name in METADATA.tables
            for row in connection.execute(text(f'SELECT * FROM "{name}"'))
        )
    engine.dispose()
    assert client.clientId in stored
    for hidden in (secret, rotated, sha256(secret.encode()).hexdigest()):
        assert hidden not in stored
        assert hidden not in repr(ledger.clients.by_id(client.clientId))
    assert repr(sha256(secret.encode()).digest()) not in stored


def test_another_pepper_opens_nothing(ledger: Ledger, url: str) -> None:
    client, secret = ledger.clients.add(name="a", third_party="Ann", **BY)
    assert secret is not None
    other = Ledger.open(url, pepper=b"x" * 32)
    assert other.clients.verify_secret(client.clientId, secret, AT) is None
    other.close()


@pytest.mark.parametrize("pepper", [None, b"", b"short"])
def test_without_a_pepper_there_are_no_secrets(url: str, pepper: bytes | None) -> None:
    ledger = Ledger.open(url, pepper=pepper)
    with pytest.raises(ConfigurationError, match="pepper"):
        ledger.clients.add(name="a", third_party="Ann", **BY)
    assert ledger.clients.list() == []
    ledger.close()


def test_two_secrets_live_side_by_side_until_the_old_one_dies(ledger: Ledger) -> None:
    client, old = ledger.clients.add(name="a", third_party="Ann", **BY)
    new = ledger.clients.rotate_secret(client.clientId, **BY, keep=5 * MINUTE)
    assert old is not None

    def opens(secret: str, minutes: int) -> bool:
        at = AT + minutes * MINUTE
        return ledger.clients.verify_secret(client.clientId, secret, at) is not None

    assert [opens(old, 0), opens(old, 4), opens(old, 5)] == [True, True, False]
    assert [opens(new, 0), opens(new, 4), opens(new, 5)] == [True, True, True]


def test_a_client_with_a_key_has_no_secret(ledger: Ledger) -> None:
    pem = public_pem(ec.generate_private_key(ec.SECP256R1()))
    client, secret = ledger.clients.add(name="a", third_party="Ann", public_jwk=pem, **BY)
    assert secret is None
    (key,) = client.keys
    assert key.jwk["alg"] == "ES256"
    assert client.document()["keys"] == [{"kid": key.kid, "alg": "ES256", "expiresAt": None}]
    assert ledger.clients.verify_secret(client.clientId, "", AT) is None


def test_two_keys_overlap_while_a_client_changes_over(ledger: Ledger) -> None:
    old, new = (public_pem(ed25519.Ed25519PrivateKey.generate()) for _ in range(2))
    client, _ = ledger.clients.add(name="a", third_party="Ann", public_jwk=old, **BY)
    (first,) = client.keys
    second = ledger.clients.add_key(client.clientId, new, **BY)
    ledger.clients.retire_key(client.clientId, first.kid, **BY, until=AT + 5 * MINUTE)
    changed = ledger.clients.by_id(client.clientId)
    assert changed is not None

    def live(minutes: int) -> set[str]:
        return {key.kid for key in changed.live_keys(AT + minutes * MINUTE)}

    assert live(4) == {first.kid, second.kid}
    assert live(5) == {second.kid}
    with pytest.raises(InvalidRequest, match="already has a key"):
        ledger.clients.add_key(client.clientId, new, **BY)
    with pytest.raises(InvalidRequest, match="has no key 'x'"):
        ledger.clients.retire_key(client.clientId, "x", **BY)


def test_a_key_that_is_retired_is_not_accepted_again(ledger: Ledger) -> None:
    """As one that leaked: a longer time to change over is not for it."""
    pem = public_pem(ec.generate_private_key(ec.SECP256R1()))
    client, _ = ledger.clients.add(name="a", third_party="Ann", public_jwk=pem, **BY)
    (key,) = client.keys
    for asked, lives in ((5, 5), (3, 3), (4, 3), (0, 0), (9, 0)):
        until = AT + asked * MINUTE
        ledger.clients.retire_key(client.clientId, key.kid, **BY, until=until)
        known = ledger.clients.by_id(client.clientId)
        assert known is not None
        assert [key.expiresAt for key in known.keys] == [AT + lives * MINUTE]
        entry = ledger.audit.entries(subject=client.clientId)[-1]
        ends = (AT + lives * MINUTE).isoformat()
        assert (entry.action, entry.after) == (
            "client:key_retired",
            {"kid": key.kid, "until": ends},
        )


def test_a_third_party_has_one_name(ledger: Ledger) -> None:
    for name in ("Ann  Office", "ANN OFFICE", " ann office "):
        client, _ = ledger.clients.add(name=name, third_party=name, **BY)
        assert client.thirdParty == "Ann Office"
    assert [party.name for party in ledger.clients.third_parties()] == ["Ann Office"]
    assert len(ledger.clients.list(third_party="ann office")) == 3
    assert ledger.clients.list(office="KH") == []


@pytest.mark.parametrize(
    ("owner", "sentence"),
    [
        ({}, "belongs to one"),
        ({"third_party": "Ann", "office": "KH"}, "belongs to one"),
        ({"third_party": " "}, "printable characters"),
        ({"third_party": "a" * 201}, "printable characters"),
        ({"third_party": "a\u202eb"}, "printable characters"),
        ({"office": "XX"}, "not an office of this hub"),
        ({"third_party": "Ann", "public_jwk": "{}"}, "kind of key"),
    ],
)
def test_clients_that_make_no_sense_are_refused(
    ledger: Ledger, owner: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        ledger.clients.add(name="a", **owner, **BY)
    assert ledger.clients.third_parties() == []


def test_a_revoked_client_is_refused_everywhere(ledger: Ledger) -> None:
    client, secret = ledger.clients.add(name="a", third_party="Ann", **BY)
    assert secret is not None
    ledger.tokens.issue(client.clientId, HASH, AT + MINUTE, AT)
    ledger.clients.configure(client.clientId, ClientChanges(dasCompat=True), **BY)
    revoked = ledger.clients.revoke(client.clientId, **BY)
    assert (revoked.is_active, revoked.dasCompat) == (False, True)
    assert ledger.clients.revoke(client.clientId, **BY) == revoked
    assert ledger.clients.verify_secret(client.clientId, secret, AT) is None
    assert ledger.access(HASH, AT) is None
    assert ledger.tokens.find(HASH, AT) is None
    with pytest.raises(InvalidClient):
        ledger.tokens.issue(client.clientId, b"x" * 32, AT + MINUTE, AT)
    with pytest.raises(InvalidRequest, match="is revoked"):
        ledger.clients.rotate_secret(client.clientId, **BY)
    with pytest.raises(InvalidRequest, match="no client nobody"):
        ledger.clients.revoke("nobody", **BY)
