"""The description of the OAuth endpoints, which answer in OAuth's own form."""

from api.openapi_parts import (
    STRING,
    Document,
    json_answer,
    object_schema,
    problem_answer,
    reference,
)

_CREDENTIALS = {
    name: {"type": "string"}
    for name in ("client_id", "client_secret", "client_assertion_type", "client_assertion")
}


def _form(properties: Document, required: list[str]) -> Document:
    schema = {"type": "object", "properties": properties | _CREDENTIALS, "required": required}
    return {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}


_OAUTH_ERRORS = {
    "400": json_answer(reference("OAuthError"), "The request is malformed"),
    "401": json_answer(reference("OAuthError"), "Client authentication failed"),
    "429": json_answer(
        reference("OAuthError"), "Too many calls, or too many failed attempts from this address"
    ),
    "503": problem_answer("503"),
}
_DPOP: list[Document] = [
    {
        "name": "DPoP",
        "in": "header",
        "description": "Proof of possession (RFC 9449): the token is bound to its key",
        "schema": {"type": "string"},
    }
]
TOKEN: Document = {
    "requestBody": _form(
        {
            "grant_type": {"type": "string", "enum": ["client_credentials"]},
            "scope": {"type": "string"},
        },
        ["grant_type"],
    ),
    "parameters": _DPOP,
    "responses": {"200": json_answer(reference("Token"), "An access token"), **_OAUTH_ERRORS},
}
REVOKE: Document = {
    "requestBody": _form({"token": {"type": "string"}}, ["token"]),
    "responses": {"200": {"description": "The token is worthless now"}, **_OAUTH_ERRORS},
}
INTROSPECT: Document = {
    "requestBody": _form({"token": {"type": "string"}}, ["token"]),
    "responses": {
        "200": json_answer(reference("Introspection"), "What it is worth"),
        **_OAUTH_ERRORS,
    },
}

SCHEMAS: Document = {
    "OAuthError": object_schema("error", error=STRING, error_description=STRING),
    "Token": object_schema(
        "access_token token_type expires_in",
        access_token=STRING,
        token_type={"type": "string", "enum": ["Bearer", "DPoP"]},
        expires_in={"type": "integer"},
        scope=STRING,
    ),
    "Introspection": object_schema(
        "active",
        active={"type": "boolean"},
        **dict.fromkeys(["client_id", "sub", "iss", "aud", "token_type", "scope"], STRING),
        iat={"type": "integer"},
        exp={"type": "integer"},
        cnf=object_schema("jkt", jkt=STRING),
    ),
}
