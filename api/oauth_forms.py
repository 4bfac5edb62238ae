"""What the OAuth endpoints take and give: one strict form in, OAuth's JSON out.

Which client sent it is ``client_auth``. Nothing from a form is ever echoed or logged.

Standard: RFC 6749 §2.3, §3.2, §5 (form, errors).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from api.bodies import is_encoded, media_type

MAX_BODY_BYTES = 32_768
"""A form with an RSA-4096 assertion has about 1,500."""

MAX_FIELDS = 30

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in OAuth's form; ``description`` never tells why a client was not believed."""

    error: str
    description: str
    status: int = 400
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """Return it as HTTP."""
        document = {"error": self.error, "error_description": self.description}
        return answer(document, self.status, {**self.headers, **(headers or {})})


INVALID_CLIENT = Refusal(
    "invalid_client",
    "Client authentication failed. Check identifier and secret; of an assertion the key, iss, sub, "
    "aud, exp, a new jti, and your clock against the Date of this answer",
    401,
)
"""The same for every cause: what was wrong is in the hub's log."""


def too_many_failures(wait: int) -> Refusal:
    """Return the refusal of who guessed too often: the same whether the client exists or not."""
    return Refusal(
        "temporarily_unavailable",
        f"Too many failed attempts for this client from your address: try again in {wait} s",
        429,
        {"Retry-After": str(wait)},
    )


def too_many_calls(wait: int) -> Refusal:
    """Return the refusal of a client that calls OAuth's endpoints too often."""
    return Refusal(
        "temporarily_unavailable",
        "This client has used up its calls of this minute. Keep a token until it expires; "
        f"try again in {wait} s",
        429,
        {"Retry-After": str(wait)},
    )


def invalid_request(description: str) -> Refusal:
    """Return the refusal of a malformed request."""
    return Refusal("invalid_request", description)


def answer(
    document: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer that nobody may keep."""
    body = json.dumps(document, separators=(",", ":"))
    return Response(body, status, NO_STORE | dict(headers or {}), "application/json")


async def read_form(request: Request) -> dict[str, str] | Refusal:
    """Return the parameters of a form; those without a value count as not sent."""
    if request.method != "POST":
        return invalid_request("Use POST")
    if request.scope["query_string"]:
        return invalid_request("Send parameters in the body, not in the URL")
    if media_type(request) != "application/x-www-form-urlencoded":
        return invalid_request("Send application/x-www-form-urlencoded")
    if is_encoded(request):
        return invalid_request("Send the form as it is, without Content-Encoding")
    body = await _read(request)
    if body is None:
        return invalid_request(f"The form has more than {MAX_BODY_BYTES} bytes")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        return invalid_request("The form cannot be read")
    form = dict(pairs)
    if len(form) != len(pairs):
        return invalid_request("A parameter is repeated")
    return {name: value for name, value in form.items() if value}


async def _read(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body
