"""Requests that may come twice: the key their sender gives them.

What a key stands for is in the ledger (``connectors.ledger.idempotency``).
"""

from starlette.requests import Request

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
