"""The same records in every form: read back, compared, and nothing else in them."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree

from connectors.exports import columnar
from connectors.exports.formats import Format, columns_of, encoder
from connectors.exports.st96 import NAMESPACES, elements
from connectors.rendering import render_fragments
from connectors.reports.safe_cells import for_csv
from ipregister.model import Disclosure, Member, Right, load_tables

ALLOWED = frozenset(Disclosure) - {Disclosure.STAKEHOLDER, Disclosure.EXAMINATION}
ACTIVE = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def full(right: Right, mark: str = "v") -> dict[str, Any]:
    """Return a row with something in every member."""
    numbers = count(1)

    def value(member: Member) -> Any:
        number = next(numbers)
        match member.type:
            case "struct":
                return {inner.name: value(inner) for inner in member.fields}
            case "list":
                return [{inner.name: value(inner) for inner in member.fields}] * 2
            case "texts":
                return [
                    {"text": f"{mark}{number} <ក>&\r\n;=1", "languageCode": "km"},
                    {"text": "x"},
                ]
            case "strings":
                return [f"{mark}{number}", "; -2"]
            case "integer":
                return number
            case "boolean":
                return number % 2 == 0
            case "date":
                return f"{1200 + number}-02-03"
            case _:
                return f"{mark}{number}"

    return {field.name: value(field) for field in load_tables()[right].fields}


def bodies(right: Right, *rows: Mapping[str, Any], allowed: Any = ALLOWED) -> list[bytes]:
    table = load_tables()[right]
    return [
        b"".join(part for name, part in render_fragments(table, row).items() if name in allowed)
        + b"}"
        for row in rows
    ]


def encoded(kind: Format, right: Right, records: list[bytes], size: int = 2) -> bytes:
    made = encoder(kind, right, columns_of(right, ALLOWED))
    pieces = [made.encode(records[at : at + size]) for at in range(0, len(records), size)]
    return b"".join([*pieces, made.finish()])


def plain(value: Any) -> Any:
    """Return a value of Arrow as JSON has it: without what is not there, dates as text."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def from_csv(data: bytes) -> list[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(data.decode(), newline=""))
    return [
        {name: json.loads(cell) if cell[:1] in "[{" else cell for name, cell in row.items() if cell}
        for row in rows
    ]


def from_xml(data: bytes, right: Right) -> list[dict[str, Any]]:
    def named(name: str) -> str:
        prefix, _, local = name.partition(":")
        return f"{{{NAMESPACES[prefix]}}}{local}"

    def scalar(node: Any, member: Member) -> Any:
        match member.type:
            case "integer":
                return int(node.text)
            case "boolean":
                return node.text == "true"
            case "texts":
                language = node.get(named("com:languageCode"))
                return {"text": node.text} | ({"languageCode": language} if language else {})
            case "struct" | "list":
                return members(node, member.fields)
            case _:
                return node.text

    def members(node: Any, of: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        known = {named(element.name): element for element in elements(of)}
        for child in node:
            element = known[child.tag]
            member = element.member
            if member.type not in ("list", "strings", "texts"):
                found[member.name] = scalar(child, member)
            else:
                entries = list(child) if element.item else [child]
                found.setdefault(member.name, []).extend(scalar(e, member) for e in entries)
        return found

    return [members(record, load_tables()[right].fields) for record in etree.fromstring(data)]


def read(kind: Format, right: Right, data: bytes) -> list[dict[str, Any]]:
    match kind:
        case Format.CSV:
            return from_csv(data)
        case Format.PARQUET:
            return [plain(row) for row in pq.read_table(pa.BufferReader(data)).to_pylist()]
        case Format.ARROW:
            return [plain(row) for row in pa.ipc.open_stream(data).read_all().to_pylist()]
        case Format.XML:
            return from_xml(data, right)
        case _:
            return [json.loads(line) for line in data.splitlines()]


def expected(kind: Format, records: list[bytes]) -> list[dict[str, Any]]:
    """Return the records; in CSV plain numbers and truth are text, active texts are made safe."""
    rows: list[dict[str, Any]] = [json.loads(body) for body in records]
    if kind is not Format.CSV:
        return rows
    return [
        {
            name: for_csv(value)
            if isinstance(value, str)
            else value
            if isinstance(value, dict | list)
            else json.dumps(value)
            for name, value in row.items()
        }
        for row in rows
    ]


OTHERS = [kind for kind in Format if kind is not Format.JSON]


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("right", Right)
def test_every_form_holds_the_same_records(right: Right, kind: Format) -> None:
    sparse = {"recordId": "r2", "officeCode": "KH", "applicationDate": "2020-01-02"}
    records = bodies(right, full(right), sparse, full(right, "=w"))
    data = encoded(kind, right, records)
    assert read(kind, right, data) == expected(kind, records)
    assert encoded(kind, right, records) == data  # nothing of the moment in it


@pytest.mark.parametrize("kind", OTHERS)
def test_no_record_is_a_readable_answer_too(kind: Format) -> None:
    assert read(kind, Right.DESIGNS, encoded(kind, Right.DESIGNS, [])) == []


@pytest.mark.parametrize("kind", [Format.CSV, Format.PARQUET, Format.ARROW])
@pytest.mark.parametrize("right", Right)
def test_columns_of_withheld_classes_are_absent(right: Right, kind: Format) -> None:
    data = encoded(kind, right, bodies(right, {"recordId": "r1"}))
    match kind:
        case Format.CSV:
            columns = data.decode().splitlines()[0].split(",")
        case Format.PARQUET:
            columns = pq.read_schema(pa.BufferReader(data)).names
        case _:
            columns = pa.ipc.open_stream(data).schema.names
    assert columns == [f.name for f in load_tables()[right].fields if f.disclosure in ALLOWED]


def test_row_groups_are_filled_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "ROW_GROUP", 4)
    records = bodies(Right.PATENTS, *({"recordId": f"r{n}"} for n in range(11)))
    for size in (1, 3, 11):
        data = encoded(Format.PARQUET, Right.PATENTS, records, size)
        found = pq.ParquetFile(pa.BufferReader(data)).metadata
        assert [found.row_group(n).num_rows for n in range(found.num_row_groups)] == [4, 4, 3]


def test_members_that_turn_up_late_are_in_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier records had is only how a file is read, never what is in it."""
    monkeypatch.setattr(columnar, "ROW_GROUP", 2)
    whole = full(Right.TRADEMARKS)
    texts = [name for name, value in whole.items() if isinstance(value, list)]
    rows: list[dict[str, Any]] = [{"recordId": "r1"}, {"recordId": "r2", "status": "filed"}]
    rows += [{"recordId": f"r{name}", name: []} for name in texts]
    rows += [{"recordId": "r", "goodsServices": [{"classNumber": 1}, {}]}]
    rows += [{"recordId": f"{n} {name}", name: whole[name]} for n in "ab" for name in whole]
    records = bodies(Right.TRADEMARKS, *rows)
    data = encoded(Format.PARQUET, Right.TRADEMARKS, records)
    assert read(Format.PARQUET, Right.TRADEMARKS, data) == expected(Format.PARQUET, records)
    monkeypatch.setattr(columnar.Columns, "_read_known", lambda self, text: None)
    assert encoded(Format.PARQUET, Right.TRADEMARKS, records) == data


def payloads() -> Iterator[str]:
    for start in ACTIVE:
        yield f"{start}cmd|' /C calc'!A0"
        yield f"harmless;{start}HYPERLINK(1)"
        yield f" {start}1"
        yield f"\u202e{start}1"


@pytest.mark.parametrize("payload", list(payloads()))
def test_no_cell_of_a_csv_file_is_active(payload: str) -> None:
    row = {"recordId": "r1", "filingPlace": payload, "markVerbalElements": [{"text": payload}]}
    records = bodies(Right.TRADEMARKS, row)
    text = encoded(Format.CSV, Right.TRADEMARKS, records).decode()
    for delimiter in ",;":  # a spreadsheet of either locale
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            for cell in cells:
                assert cell.strip(' \ufeff\u200b"')[:1] not in tuple(ACTIVE), cell
    assert "\u202e" not in text
    assert from_csv(text.encode())[0]["markVerbalElements"] == [{"text": payload}]
    # The lossless forms are verbatim.
    table = pq.read_table(pa.BufferReader(encoded(Format.PARQUET, Right.TRADEMARKS, records)))
    assert table["filingPlace"].to_pylist() == [payload]


def test_xml_replaces_what_no_xml_document_can_hold() -> None:
    data = encoded(Format.XML, Right.TRADEMARKS, [b'{"recordId":"a\\u0007b\\uffff<&>"}'])
    assert read(Format.XML, Right.TRADEMARKS, data) == [{"recordId": "a\ufffdb\ufffd<&>"}]
