"""Requests that may come twice: the key their sender gives them.

What a key stands for is in the ledger (``connectors.ledger.idempotency``).
"""

from hashlib import sha256

import msgspec
from starlette.requests import Request

from connectors.ledger.idempotency import Once
from ipregister.errors import InvalidRequest

MAX_KEY = 255


def read_key(request: Request) -> str | None:
    """Return the idempotency key, if there is one.

    Raises:
        InvalidRequest: there are two, or it is no key.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    (key, *more) = (text.strip() for text in keys)
    if more or not 1 <= len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()):
        raise InvalidRequest(f"Idempotency-Key: one, of 1 to {MAX_KEY} printable ASCII characters.")
    return key


def read_once(request: Request, client_id: str, what: tuple[object, ...]) -> Once | None:
    """Return a client's word that it is the same request as before, if it gave one.

    ``what`` is everything that makes it the same: the kind of request, and what it asks for.

    Raises:
        InvalidRequest: there are two keys, or it is no key.
    """
    key = read_key(request)
    if key is None:
        return None
    digest = sha256(msgspec.json.encode(what, order="sorted")).hexdigest()
    return Once(client_id, key, digest)
