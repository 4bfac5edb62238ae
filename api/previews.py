"""What a third party would get under an authorization that is not saved: the preview.

The records are made by the code that makes them for third parties, in any form it has, so
what an office sees is what will leave the hub. Nothing is written.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.answers import Answer
from api.parameters import available_fields
from connectors.exports.formats import MEDIA_TYPES, Format
from connectors.serving.preview import Choice
from connectors.serving_store import ServingStore
from ipregister.authorizations import Authorization, Decision, Grant
from ipregister.errors import InvalidMembers
from ipregister.model import Disclosure, Member, Right, load_tables
from ipregister.profiles import load_profile

MAX_RECORDS = 100
DEFAULT_RECORDS = 10

TEXT_FORMS = frozenset({Format.JSON, Format.NDJSON, Format.CSV, Format.XML})
THE_MARK_ITSELF = ("markVerbalElements", "significantVerbalElements", "translations")
"""Words that may be a name and are never left out: without them there is no mark."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which records a preview shows, and in which form."""

    form: Format = Format.JSON
    choose: Choice = Choice.FIRST
    limit: int = DEFAULT_RECORDS
    record: str | None = None


def read_wish(document: object) -> Wish:
    """Read ``sample`` of a request for a preview.

    Raises:
        InvalidMembers: with everything that is wrong with it.
    """
    known = ("format", "choose", "limit", "recordId")
    if not isinstance(document, dict):
        raise InvalidMembers({"sample": f"an object with members among {', '.join(known)}"})
    forms = {MEDIA_TYPES[form]: form for form in Format}
    wrong = {}
    if unknown := len(document.keys() - set(known)):
        wrong["sample"] = f"{unknown} unknown member(s); known: {', '.join(known)}"
    form = document.get("format", MEDIA_TYPES[Format.JSON])
    if not isinstance(form, str) or form not in forms:
        wrong["sample.format"] = f"one of {', '.join(forms)}"
    choose = document.get("choose", Choice.FIRST)
    if not isinstance(choose, str) or choose not in tuple(Choice):
        wrong["sample.choose"] = f"one of {', '.join(Choice)}"
    limit = document.get("limit", DEFAULT_RECORDS)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= MAX_RECORDS:
        wrong["sample.limit"] = f"a whole number from 0 to {MAX_RECORDS}"
    record = document.get("recordId")
    if record is not None and not isinstance(record, str):
        wrong["sample.recordId"] = "the identifier of a record"
    if wrong:
        raise InvalidMembers(wrong)
    return Wish(forms[form], Choice(choose), limit, record)


def preview(
    serving: ServingStore,
    office: str,
    saved: Authorization | None,
    proposed: Decision,
    wish: Wish,
    *,
    at: datetime,
) -> dict[str, Any]:
    """Return what saving ``proposed`` would mean, as a JSON document."""
    now = saved.grants if saved is not None and saved.holds(at) else {}
    # One that begins later or is over leaves nothing today, whatever it opens on its days.
    at_once = proposed.grants if proposed.holds(load_profile(office).day_of(at)) else {}
    rights = [
        _right(
            *(serving, office, right, now.get(right), proposed.grants.get(right), wish),
            at_once=at_once.get(right),
        )
        for right in Right
        if right in now or right in proposed.grants
    ]
    return {
        "office": office,
        "version": saved.version if saved else 0,
        "rights": rights,
        "retractions": sum(right["retractions"] for right in rights),
        "differences": _differences(saved.decision if saved else Decision(), proposed),
    }


def _right(
    serving: ServingStore,
    office: str,
    right: Right,
    now: Grant | None,
    then: Grant | None,
    wish: Wish,
    *,
    at_once: Grant | None,
) -> dict[str, Any]:
    with serving.preview(office, right) as made:
        document: dict[str, Any] = {
            "right": right,
            "records": {"now": made.count(now), "then": made.count(then)},
            "retractions": made.lost(now, at_once) if now else 0,
        }
        if then is None:
            return document | {"shared": False, "items": []}
        found = made.records(then, choose=wish.choose, limit=wish.limit, record=wish.record)
    return document | {
        "shared": True,
        "withheldElements": withheld_elements(right, then),
        "mayNamePersons": texts_that_may_name_persons(right, then),
        "mediaType": MEDIA_TYPES[wish.form],
        "items": [_item(office, right, then, name, body, wish.form) for name, body in found],
    }


def _item(
    office: str, right: Right, grant: Grant, record: str, body: bytes, form: Format
) -> dict[str, str]:
    if form is not Format.JSON:
        fields = available_fields(right, grant.allowed)
        answer = Answer(office, right, grant.allowed, fields, (record,), (body,))
        body = answer.encoded(form)
    if form in TEXT_FORMS:
        return {"recordId": record, "content": body.decode()}
    return {"recordId": record, "contentBase64": b64encode(body).decode()}


def withheld_elements(right: Right, grant: Grant) -> list[dict[str, str | None]]:
    """Return what a reader does not get: by name and INID code, with the reason."""
    elements = []
    for path, member, disclosure in load_tables()[right].paths():
        if disclosure not in grant.allowed:
            if "." not in path:
                elements.append(_element(path, member, disclosure))
        elif member.freeText and not grant.freeText:
            elements.append(_element(path, member, "freeText"))
    return elements


def texts_that_may_name_persons(right: Right, grant: Grant) -> list[dict[str, str | None]]:
    """Return what a reader gets that may name persons without being about them."""
    return [
        _element(path, member, disclosure)
        for path, member, disclosure in load_tables()[right].paths()
        if disclosure in grant.allowed
        and disclosure is not Disclosure.STAKEHOLDER
        and ((member.freeText and grant.freeText) or path in THE_MARK_ITSELF)
    ]


def _element(path: str, member: Member, why: str) -> dict[str, str | None]:
    return {"element": path, "inid": member.inid, "because": why}


def _differences(saved: Decision, proposed: Decision) -> list[dict[str, Any]]:
    """Return the members that would change, as they are and as they would be."""
    before, after = saved.document(), proposed.document()
    return [
        {"member": name, "now": before[name], "then": after[name]}
        for name in before
        if name != "reason" and before[name] != after[name]
    ]
