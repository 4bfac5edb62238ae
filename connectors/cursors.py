"""Opaque page cursors: encrypted, authenticated, bound to who asked and what was asked.

Deterministic on purpose (AES-SIV): the same place for the same client is the same cursor, so
an answer does not change because it was asked twice. What a place is belongs to the caller.

Standard: RFC 5297 (AES-SIV), RFC 5869 (HKDF).
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ipregister.errors import InvalidRequest

KEY_BYTES = 64
"""AES-256 twice: SIV needs one key to authenticate and one to encrypt."""

MAX_CHARACTERS = 8_192
"""The longest URL common servers take; all spaces of a hub fit in a fifth of it."""


class Cursors:
    """Seals places into cursors and opens them again."""

    def __init__(self, secret: bytes) -> None:
        """Derive the key of cursors from the hub's ``secret``; nothing else uses this key."""
        kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"asean-ip-hub cursors 1")
        self._cipher = AESSIV(kdf.derive(secret))

    def seal(self, place: bytes, bound_to: Sequence[str]) -> str:
        """Return the cursor of a place, valid only together with ``bound_to``."""
        sealed = self._cipher.encrypt(place, [part.encode() for part in bound_to])
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, cursor: str, bound_to: Sequence[str]) -> bytes:
        """Return the place a cursor stands for.

        Raises:
            InvalidRequest: it was not made by this hub, for this client and this query.
        """
        try:
            if len(cursor) > MAX_CHARACTERS:
                raise ValueError
            sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            place = self._cipher.decrypt(sealed, [part.encode() for part in bound_to])
        except (ValueError, InvalidTag) as exc:
            raise InvalidRequest(
                "This cursor does not belong to this query: cursors are valid for the client "
                "and the parameters they were given for. Start again without it."
            ) from exc
        # Base64 has several spellings of one value; a cursor has one.
        if cursor != urlsafe_b64encode(sealed).rstrip(b"=").decode():
            raise InvalidRequest("This cursor was altered. Start again without it.")
        return place
