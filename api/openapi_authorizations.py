"""The description of the routes by which an office decides who sees what."""

from api.openapi_parts import (
    DATE,
    OFFICE,
    RIGHT,
    STRING,
    Document,
    header_parameter,
    json_answer,
    object_schema,
    operation,
    path_parameter,
    reference,
    words,
)
from api.previews import DEFAULT_RECORDS, MAX_RECORDS
from connectors.exports.formats import MEDIA_TYPES
from connectors.serving.preview import Choice
from ipregister.authorizations import WITHHOLDABLE, TermsOfUse
from ipregister.decision_documents import MAX_TEXT
from ipregister.model import Disclosure
from ipregister.row_rules import DATES, LISTS

_THIRD_PARTY = path_parameter("thirdParty", "Name of the third party", STRING)
_IF_MATCH = header_parameter(
    "If-Match", '`ETag` of the version you decide about; `"0"` where there is none yet'
) | {"required": True}
_TEXT = STRING | {"minLength": 1, "maxLength": MAX_TEXT}


def _nullable(schema: Document) -> Document:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Document) -> Document:
    return {"type": "array", "items": items}


def _body(schema: Document) -> Document:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


AUTHORIZATIONS = operation(
    json_answer(reference("AuthorizationList"), "What is shared with whom"),
    *("400", "401", "403", "404", "406"),
    parameters=[OFFICE],
)
AUTHORIZATION = operation(
    json_answer(reference("Authorization"), "The authorization; `ETag` is its version"),
    *("400", "401", "403", "404", "406"),
    parameters=[OFFICE, _THIRD_PARTY],
)
CERTIFICATE = operation(
    {
        "description": "A signed certificate (compact JWS) of the authorization as it is now",
        "content": {"application/jwt": {"schema": STRING}},
    },
    *("400", "401", "403", "404"),
    parameters=[OFFICE, _THIRD_PARTY],
)
MY_CERTIFICATE = operation(
    CERTIFICATE["responses"]["200"],
    *("400", "401", "404"),
    parameters=[OFFICE],
)
_DECIDED = ("400", "401", "403", "404", "412", "413", "415", "428")
DECISION = operation(
    json_answer(reference("Authorization"), "The authorization as it is now"),
    *_DECIDED,
    parameters=[OFFICE, _THIRD_PARTY, _IF_MATCH],
) | _body(reference("Decision"))
REVOCATION = operation(
    json_answer(reference("Authorization"), "The authorization, revoked"),
    *_DECIDED,
    parameters=[OFFICE, _THIRD_PARTY, _IF_MATCH],
) | _body(object_schema("reason", reason=_TEXT))
PREVIEW = operation(
    json_answer(reference("AuthorizationPreview"), "What saving it would mean"),
    *("400", "401", "403", "404", "413", "415"),
    parameters=[OFFICE, _THIRD_PARTY],
) | _body(
    {
        "allOf": [
            reference("Decision"),
            {"type": "object", "properties": {"sample": reference("PreviewSample")}},
        ]
    }
)

_TERMS = words(TermsOfUse)
_ROWS = object_schema(
    "",
    publishedOnly={"type": "boolean"},
    **dict.fromkeys(DATES, DATE),
    **dict.fromkeys(LISTS, _list(STRING) | {"minItems": 1}),
)
_SHARED: Document = {
    "right": RIGHT["schema"],
    "withheld": _list(words(WITHHOLDABLE)),
    "rows": _ROWS | {"description": "Which records; without a member, all"},
    "freeText": {
        "type": "boolean",
        "default": True,
        "description": "Whether members that may name persons whatever their class are shared",
    },
}
_DECISION: Document = {
    "rights": _list(object_schema("right", **_SHARED)) | {"minItems": 1},
    "validFrom": _nullable(DATE),
    "validUntil": _nullable(DATE),
    "termsOfUse": _nullable(_TERMS) | {"default": str(TermsOfUse.INTERNAL_USE)},
    "purpose": _nullable(_TEXT),
    "allowedAddresses": _list(STRING) | {"description": "Networks (CIDR); none for anywhere"},
    "reason": _nullable(_TEXT) | {"description": "Why; kept with the version. Required to save"},
}
_ELEMENT = object_schema(
    "element inid because",
    element=STRING,
    inid={"type": ["string", "null"]},
    because=words([*Disclosure, "freeText"]),
)


_VERSION = object_schema(
    "office thirdParty version rights termsOfUse revoked setAt setBy",
    office=STRING,
    thirdParty=STRING,
    version={"type": "integer"},
    rights=_list(object_schema("right", **_SHARED, allowed=_list(words(Disclosure)))),
    **{name: _nullable(DATE) for name in ("validFrom", "validUntil")},
    termsOfUse=_TERMS,
    purpose=_nullable(STRING),
    allowedAddresses=_list(STRING),
    reason=_nullable(STRING),
    revoked={"type": "boolean"},
    setAt=STRING | {"format": "date-time"},
    setBy=STRING,
)

SCHEMAS: Document = {
    "AuthorizationVersion": _VERSION,
    "Authorization": {
        "allOf": [
            reference("AuthorizationVersion"),
            object_schema("", history=_list(reference("AuthorizationVersion"))),
        ]
    },
    "AuthorizationList": object_schema("items", items=_list(reference("AuthorizationVersion"))),
    "Decision": object_schema("rights", **_DECISION),
    "PreviewSample": object_schema(
        "",
        format=words(MEDIA_TYPES.values()),
        choose=words(Choice),
        limit={
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_RECORDS,
            "default": DEFAULT_RECORDS,
        },
        recordId=STRING,
    ),
    "AuthorizationPreview": object_schema(
        "office version rights retractions differences",
        office=STRING,
        version={"type": "integer", "description": "The saved version it is compared with"},
        retractions={
            "type": "integer",
            "description": "Records a third party that has everything must give back or replace",
        },
        differences=_list(object_schema("member", member=STRING, now={}, then={})),
        rights=_list(
            object_schema(
                "right records retractions shared items",
                right=RIGHT["schema"],
                shared={"type": "boolean"},
                records=object_schema(
                    "now then", now={"type": "integer"}, then={"type": "integer"}
                ),
                retractions={"type": "integer"},
                withheldElements=_list(_ELEMENT),
                mayNamePersons=_list(_ELEMENT),
                mediaType=STRING,
                items=_list(
                    object_schema("recordId", recordId=STRING, content=STRING, contentBase64=STRING)
                    | {"description": "The bytes a request for this record would be answered"}
                ),
            )
        ),
    ),
}
