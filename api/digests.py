"""Digests a sender declares for its bytes, compared with the bytes that came.

A digest in an algorithm the hub does not compute is no reason to refuse; a wrong one is.

Standards: RFC 9530 (Content-Digest, Repr-Digest), RFC 9651 (byte sequences in headers).
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Sequence

from starlette.requests import Request

from ipregister.errors import ContentMismatch, InvalidRequest

HEADERS = ("content-digest", "repr-digest")
"""The same here: encoded content is not taken, so content and representation are one."""

_MEMBER = re.compile(r"\s*sha-256=:([A-Za-z0-9+/=]{0,100}):\s*(?:;.*)?")


def declared_digests(request: Request) -> Sequence[str]:
    """Return the SHA-256 (hex) values the sender declares for the whole content.

    Raises:
        InvalidRequest: a header names sha-256 and has no such digest.
    """
    members = [
        member
        for name in HEADERS
        for line in request.headers.getlist(name)
        for member in line.split(",")
        if member.strip().lower().startswith("sha-256=")
    ]
    return [_digest(member) for member in members]


def check_digests(declared: Sequence[str], sha256: str) -> None:
    """Compare.

    Raises:
        ContentMismatch: other bytes came than were declared.
    """
    if any(digest != sha256 for digest in declared):
        raise ContentMismatch(
            f"The content has the SHA-256 {sha256}, which is not the digest you declared. "
            "Nothing was taken; send it again."
        )


def _digest(member: str) -> str:
    found = _MEMBER.fullmatch(member)
    try:
        value = b64decode(found[1], validate=True) if found else b""
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != 32:
        raise InvalidRequest("Content-Digest: write sha-256=:BASE64: with the 32 bytes of SHA-256.")
    return value.hex()
