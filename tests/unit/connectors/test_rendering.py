"""Fragments: same record, same bytes, and every value in its own class."""

import datetime as dt
import json

import pyarrow as pa
import pytest

from connectors.rendering import class_hashes, content_hash, render_fragments
from ipregister.model import Disclosure, Table

TEXT = "A member that exists for this test."


def member(name: str, type_: str = "string", **more: object) -> dict[str, object]:
    return {"name": name, "type": type_, "description": TEXT, **more}


TABLE = Table.model_validate(
    {
        "name": "trademarks",
        "standard": "test",
        "fields": (
            member("recordId", disclosure="core"),
            member("applicationDate", "date", disclosure="core"),
            member(
                "applicants",
                "list",
                disclosure="stakeholder",
                fields=(member("names", "texts"), member("addressLines", "strings")),
            ),
            member("designTotal", "integer", disclosure="core"),
            member("pct", "struct", disclosure="core", fields=(member("number"), member("date"))),
            member("urgent", "boolean", disclosure="examination"),
            member("status", disclosure="status_change"),
        ),
    }
)

ROW: dict[str, object] = {
    "status": "filed",
    "recordId": "abc",
    "applicationDate": dt.date(2024, 2, 29),
    "applicants": [
        {"addressLines": ["ថ្នល់ ១"], "names": [{"languageCode": "km", "text": "សុខា"}]},
    ],
    "designTotal": 0,
    "urgent": False,
    "recordKey": "KH/trademarks/1",
}


def test_fragments_join_to_one_object_in_table_order() -> None:
    fragments = render_fragments(TABLE, ROW)
    assert list(fragments) == list(Disclosure)
    assert json.loads(b"".join(fragments.values()) + b"}") == {
        "recordId": "abc",
        "applicationDate": "2024-02-29",
        "designTotal": 0,
        "applicants": [
            {"names": [{"text": "សុខា", "languageCode": "km"}], "addressLines": ["ថ្នល់ ១"]}
        ],
        "status": "filed",
        "urgent": False,
    }
    assert fragments[Disclosure.CORE] == (
        b'{"recordId":"abc","applicationDate":"2024-02-29","designTotal":0'
    )
    assert fragments[Disclosure.STATUS_CHANGE] == b',"status":"filed"'
    assert fragments[Disclosure.DOCUMENTS] == b""


def test_member_order_of_the_source_does_not_matter() -> None:
    assert render_fragments(TABLE, ROW) == render_fragments(TABLE, dict(reversed(ROW.items())))


def test_a_row_read_back_from_arrow_renders_to_the_same_bytes() -> None:
    text = pa.struct([("languageCode", pa.string()), ("text", pa.string())])
    party = pa.struct([("addressLines", pa.list_(pa.string())), ("names", pa.list_(text))])
    pct = pa.struct([("number", pa.string()), ("date", pa.string())])
    schema = pa.schema(
        {
            "recordId": pa.string(),
            "applicationDate": pa.date32(),
            "applicants": pa.list_(party),
            "designTotal": pa.int64(),
            "pct": pct,
            "urgent": pa.bool_(),
            "status": pa.string(),
        }
    )
    (back,) = pa.Table.from_pylist([ROW], schema=schema).to_pylist()
    assert back["pct"] is None
    assert render_fragments(TABLE, back) == render_fragments(TABLE, ROW)


@pytest.mark.parametrize("nothing", [None, "", [], [None], [{}], [{"names": [], "other": "x"}]])
def test_nothing_is_written_for_nothing(nothing: object) -> None:
    assert render_fragments(TABLE, ROW | {"applicants": nothing})[Disclosure.STAKEHOLDER] == b""


def test_braces_in_a_text_and_objects_without_members_are_told_apart() -> None:
    row = ROW | {"status": "{}", "applicants": [{"addressLines": ["{}"]}, {"other": "x"}]}
    fragments = render_fragments(TABLE, row)
    assert fragments[Disclosure.STATUS_CHANGE] == b',"status":"{}"'
    assert fragments[Disclosure.STAKEHOLDER] == b',"applicants":[{"addressLines":["{}"]}]'


def test_a_record_without_identity_is_refused() -> None:
    with pytest.raises(KeyError):
        render_fragments(TABLE, {"status": "filed"})


def test_hashes_follow_their_own_class_only() -> None:
    before = render_fragments(TABLE, ROW)
    after = render_fragments(TABLE, ROW | {"status": "registered"})
    old, new = class_hashes(before), class_hashes(after)
    assert {name for name in Disclosure if old[name] != new[name]} == {Disclosure.STATUS_CHANGE}
    assert old[Disclosure.DOCUMENTS] == ""
    assert content_hash(old) != content_hash(new)
    assert content_hash(old) == content_hash(class_hashes(render_fragments(TABLE, dict(ROW))))
