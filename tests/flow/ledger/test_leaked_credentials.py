"""What ends at once, as one that leaked, stays ended whatever the clock says later."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.ledger import Ledger
from connectors.ledger.public_keys import read_public_key
from ipregister.errors import InvalidRequest

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
AHEAD: dict[str, Any] = {"at": NOW + timedelta(days=400), "by": "operator"}
BY: dict[str, Any] = {"at": NOW, "by": "operator"}


def public_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_secret_that_leaked_while_the_clock_was_ahead_opens_nothing(ledger: Ledger) -> None:
    client, first = ledger.clients.add(name="a", third_party="Ann", **BY)
    second = ledger.clients.rotate_secret(client.clientId, **BY, keep=HOUR)
    third = ledger.clients.rotate_secret(client.clientId, **AHEAD)

    def opens(secret: str | None) -> bool:
        return ledger.clients.verify_secret(client.clientId, str(secret), NOW) is not None

    assert [opens(secret) for secret in (first, second, third)] == [False, False, True]
    assert ledger.clients.with_secret(NOW) == {client.clientId}


def test_a_key_that_leaked_while_the_clock_was_ahead_signs_nothing(ledger: Ledger) -> None:
    pem = public_pem()
    client, _ = ledger.clients.add(name="a", third_party="Ann", public_jwk=pem, **BY)
    (leaked,) = client.keys
    other = ledger.clients.add_key(client.clientId, public_pem(), **BY)
    ledger.clients.retire_key(client.clientId, leaked.kid, **AHEAD)
    for known in (
        ledger.clients.by_id(client.clientId),
        ledger.clients.to_authenticate(client.clientId),
    ):
        assert known is not None
        assert [key.kid for key in known.live_keys(NOW)] == [other.kid]
        ends = {key["kid"]: key["expiresAt"] for key in known.document()["keys"]}
        assert ends == {leaked.kid: "2027-04-08T05:06:07Z", other.kid: None}
    ledger.clients.retire_key(client.clientId, leaked.kid, **BY, until=NOW + HOUR)
    known = ledger.clients.to_authenticate(client.clientId)
    assert known is not None
    assert [key.kid for key in known.live_keys(NOW)] == [other.kid]
    with pytest.raises(InvalidRequest, match="already has a key"):
        ledger.clients.add_key(client.clientId, pem, **BY)


def test_a_key_goes_by_one_name(ledger: Ledger) -> None:
    """One that leaked and is retired would go on signing by the other."""
    pem = public_pem()
    client, _ = ledger.clients.add(name="a", third_party="Ann", public_jwk=pem, **BY)
    (key,) = client.keys
    with pytest.raises(InvalidRequest, match=f"already has this key: its kid is '{key.kid}'"):
        ledger.clients.add_key(client.clientId, read_public_key(pem) | {"kid": "2026"}, **BY)
    other, _ = ledger.clients.add(name="b", third_party="Ann", public_jwk=pem, **BY)
    assert other.keys[0].kid == key.kid
