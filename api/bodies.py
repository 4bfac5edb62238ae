"""Small JSON in, small JSON out: read strictly and bounded, written without a copy kept.

An unknown member is refused: whoever sends ``officeCode`` to a route that ignores it believes
something that is not so. Large bodies (packages, files) never come here.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ipregister.errors import InvalidRequest, OversizedDelivery, UnsupportedMedia

JSON = "application/json"
HEADERS = {"Cache-Control": "private, no-store", "Vary": "Authorization, Accept"}

MAX_DOCUMENT_BYTES = 65_536
"""A decision is a sentence, an intent a name and a digest; a thousand file ids are 40 kB."""

T = TypeVar("T", bound=msgspec.Struct)

_WRONG_MEMBER = re.compile(r" - at `\$\.(\w+)[^`]*`$")
"""Where msgspec says that something is wrong; what it quotes may look the same."""


class Document(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a caller may send; members that are not there are refused."""


def media_type(request: Request) -> str:
    """Return the declared media type without parameters, in lower case; empty for none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_encoded(request: Request) -> bool:
    """Tell whether a request says that its content is compressed."""
    return request.headers.get("content-encoding", "identity").strip().lower() != "identity"


def refuse_encoding(request: Request) -> None:
    """Refuse compressed content: what it expands to is only known when it is too late.

    Raises:
        UnsupportedMedia: there is a content coding.
    """
    if is_encoded(request):
        raise UnsupportedMedia(
            "Content-Encoding is not taken. Send it as it is; a ZIP is compressed already."
        )


async def read_document(request: Request, kind: type[T]) -> T:
    """Return the JSON document of a request.

    Raises:
        UnsupportedMedia: it is not said to be JSON.
        OversizedDelivery: more than ``MAX_DOCUMENT_BYTES``.
        InvalidRequest: not JSON, or not with the members this route takes.
    """
    body = await read_raw(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        # Our own words only: what was sent is not repeated in an answer.
        raise InvalidRequest(_what_is_taken(kind, str(exc))) from exc


def _what_is_taken(kind: type[msgspec.Struct], wrong: str) -> str:
    """Return in words which members there are, and which one has a value it cannot have."""
    members = msgspec.structs.fields(kind)
    needed = ", ".join(member.name for member in members if member.required)
    others = ", ".join(member.name for member in members if not member.required)
    taken = "; ".join(
        said for said in (needed and f"it has {needed}", others and f"it may have {others}") if said
    )
    first = "".join(
        f"{name}: not a value of this member. "
        for name in _WRONG_MEMBER.findall(wrong)
        if name in kind.__struct_fields__
    )
    return f"{first}Send one JSON object: {taken}."


async def read_raw(request: Request) -> bytes:
    """Return the bytes of a request that is said to be JSON.

    Raises:
        UnsupportedMedia: it is not said to be JSON, or to be compressed.
        OversizedDelivery: more than ``MAX_DOCUMENT_BYTES``.
        InvalidRequest: not UTF-8, or a member is there twice.
    """
    refuse_encoding(request)
    if media_type(request) != JSON:
        raise UnsupportedMedia(f"Send {JSON}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise OversizedDelivery(f"Here at most {MAX_DOCUMENT_BYTES} bytes are taken.")
    _refuse_ambiguous(bytes(body))
    return bytes(body)


def _refuse_ambiguous(body: bytes) -> None:
    """Refuse what readers differ about: a member that is there twice, bytes that are no text.

    Whether it is JSON at all is said by whoever decodes it.
    """

    def once(pairs: list[tuple[str, object]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            raise InvalidRequest("A member is repeated.")

    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise InvalidRequest("Send JSON in UTF-8.") from exc
    with suppress(ValueError, RecursionError):
        json.loads(text, object_pairs_hook=once)


def answer(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer that nobody keeps."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate (a file name that is not UTF-8) stays a JSON escape.
    content = body.encode("utf-8", "backslashreplace")
    return Response(content, status, HEADERS | dict(headers or {}), JSON)
