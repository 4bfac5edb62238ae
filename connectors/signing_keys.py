"""The hub's own signing keys: what it signs with, and what others verify with.

ES256, one file per key in the home's ``keys/signing``, readable by the hub's user alone. The
newest key signs; a replaced one stays published until its time is over, so that what it
signed can still be verified. What is signed, and how, is the callers' affair.

Standards: RFC 7517 (JWK Set), RFC 7638 (thumbprint as ``kid``).
"""

import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from connectors.ledger.public_keys import Jwk, read_public_key
from ipregister.errors import ConfigurationError
from ipregister.instants import instant

ALGORITHM = "ES256"

KEEP_PUBLISHED = timedelta(days=3 * 365)
"""After a rotation: longer than anything signed is meant to be verified."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair; ``publishedUntil`` is set when another took its place."""

    kid: str
    createdAt: datetime
    publishedUntil: datetime | None
    private: ec.EllipticCurvePrivateKey
    public: Jwk

    def document(self) -> dict[str, str | None]:
        """Return the JSON form, without the private half."""
        until = self.publishedUntil
        return {
            "kid": self.kid,
            "alg": ALGORITHM,
            "createdAt": instant(self.createdAt),
            "publishedUntil": None if until is None else instant(until),
        }


class SigningKeys:
    """The keys in one folder; every call looks there, so a rotation needs no restart."""

    def __init__(self, folder: Path) -> None:
        """Use the keys in ``folder``, which is made with the first of them."""
        self._folder = folder

    def all(self) -> list[SigningKey]:
        """Return every key, oldest first.

        Raises:
            ConfigurationError: a file there is not a key of ours.
        """
        keys = [_load(path) for path in sorted(self._folder.glob("*.json"))]
        return sorted(keys, key=lambda key: (key.createdAt, key.kid))

    def current(self, at: datetime) -> SigningKey:
        """Return the key to sign with; the first one is made when there is none."""
        unreplaced = [key for key in self.all() if key.publishedUntil is None]
        if unreplaced:
            return unreplaced[-1]
        return self._create(at)

    def published(self, at: datetime) -> list[Jwk]:
        """Return the public keys that may have signed what is still verified."""
        self.current(at)
        return [
            key.public
            for key in self.all()
            if key.publishedUntil is None or at < key.publishedUntil
        ]

    def rotate(self, at: datetime, keep: timedelta = KEEP_PUBLISHED) -> SigningKey:
        """Sign with a new key from now on; publish the present ones for ``keep`` longer."""
        before = self.all()
        # The new one first: whatever happens in between, there is a key to sign with.
        fresh = self._create(at)
        for key in before:
            if key.publishedUntil is None:
                _write(self._folder / f"{key.kid}.json", key, until=at + keep)
        return fresh

    def _create(self, at: datetime) -> SigningKey:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = ec.generate_private_key(ec.SECP256R1())
        public = _public(private)
        key = SigningKey(public["kid"], at, None, private, public)
        _write(self._folder / f"{key.kid}.json", key, until=None)
        return key


def _public(private: ec.EllipticCurvePrivateKey) -> Jwk:
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return read_public_key(pem.decode())


def _load(path: Path) -> SigningKey:
    try:
        document = json.loads(path.read_text("utf-8"))
        private = load_pem_private_key(document["privateKey"].encode(), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("not an EC key")
        until = document["publishedUntil"]
        return SigningKey(
            kid=document["kid"],
            createdAt=datetime.fromisoformat(document["createdAt"]).astimezone(UTC),
            publishedUntil=None if until is None else datetime.fromisoformat(until),
            private=private,
            public=_public(private),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigurationError(f"{path} is not a signing key of this hub") from exc


def _write(path: Path, key: SigningKey, *, until: datetime | None) -> None:
    """Write a key's file, wholly or not at all."""
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    document = {
        "kid": key.kid,
        "createdAt": key.createdAt.isoformat(),
        "publishedUntil": None if until is None else until.isoformat(),
        "privateKey": private.decode(),
    }
    beside = path.with_name(f".{path.stem}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
