"""The good records of a broken document: which are found, which are rejected, and where."""

import io
from pathlib import Path

import pytest

from connectors.readers import salvage as module
from connectors.readers.salvage import salvage
from connectors.readers.xml import Record, Rejected
from connectors.readers.xml_guards import RECORD_MARKUP
from ipregister.errors import DeliveryError, OversizedDelivery, UnreadableDelivery
from ipregister.profiles import Format

FORMAT = Format.model_validate(
    {
        "format": "test",
        "reader": "xml",
        "right": "trademarks",
        "record": ["Mark", "Sign"],
        "envelope": "Content",
        "header": {"Code": "code"},
        "elements": {},
    }
)


def salvaged(data: bytes, already_read: int = 0) -> list[str]:
    """Return the text of good records, and ``line: reason`` of rejected ones."""
    return [
        "".join(found.element.itertext()) if isinstance(found, Record) else f"line {found.line}"
        for found in salvage(io.BytesIO(data), FORMAT, already_read)
    ]


def test_one_bad_record_costs_only_itself() -> None:
    marks = [f"<Mark>{n}</Mark>\n" for n in range(1, 6)]
    marks[2] = "<Mark>A & B</Mark>\n"
    data = f"<T>\n{''.join(marks)}</T>".encode()
    assert salvaged(data) == ["1", "2", "line 4", "4", "5"]
    assert salvaged(data, already_read=2) == ["line 4", "4", "5"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("<Mark>\n<a></b></Mark>", "Opening and ending tag mismatch: a line 4 and b"),
        ("<Mark>\n<a></Mark>", "Opening and ending tag mismatch: a line 4 and Mark"),
        ("<Mark>\n", "Opening and ending tag mismatch: Mark line 3 and the end of the record"),
        ("<Mark>\0</Mark>", "Invalid character: Char 0x0 out of allowed range"),
    ],
)
def test_a_reason_names_lines_and_elements_of_the_document(bad: str, reason: str) -> None:
    data = f"<T>\n<Mark>1</Mark>\n{bad}\n<Mark>3</Mark></T>".encode()
    found = list(salvage(io.BytesIO(data), FORMAT, 0))
    assert [one.reason for one in found if isinstance(one, Rejected)] == [reason]


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ("<Mark>\n\0</Mark>", 4),
        ("<Mark>\n\x1c</Mark>", 4),
        ("<Mark>\n&#x1c;</Mark>", 4),
        ("<Mark>\n<x:y/></Mark>", 4),
        ("<Mark>\n<a></Mark>", 4),
        ("<Mark>\n", 5),
        ("<Mark a=1></Mark>", 3),
    ],
)
def test_a_rejected_record_knows_the_line_of_its_fault(bad: str, line: int) -> None:
    data = f"<T>\n<Mark>1</Mark>\n{bad}\n<Mark>3</Mark></T>".encode()
    assert salvaged(data) == ["1", f"line {line}", "3"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("<Mark>&nbsp;</Mark>", "Entity 'nbsp' not defined"),
        ("<Mark>" + "<a>" * 300 + "</a>" * 300 + "</Mark>", "nested deeper than 256 levels"),
        (f"<Mark>{'x' * 10_000_001}</Mark>", "send pictures as files of their own"),
    ],
    ids=["entity", "depth", "text"],
)
def test_the_reason_speaks_of_the_file_and_not_of_the_parser(bad: str, reason: str) -> None:
    data = f"<T>\n\n<Mark>1</Mark>\n{bad}</T>".encode()
    _, rejected = salvage(io.BytesIO(data), FORMAT, 0)
    assert isinstance(rejected, Rejected)
    assert rejected.line == 4
    assert rejected.reason.endswith(reason)
    assert "XML_PARSE_HUGE" not in rejected.reason


def test_records_in_comments_and_sections_are_not_records() -> None:
    data = (
        b"<T><!-- <Mark>0</Mark> --><Mark><![CDATA[</Mark>]]>1</Mark>"
        b"<?x <Mark> ?><Mark>&</Mark></T>"
    )
    assert salvaged(data) == ["</Mark>1", "line 1"]


def test_a_comment_that_never_ends_hides_nothing() -> None:
    assert salvaged(b"<T><Mark>1</Mark><!-- <Mark>2</Mark></T>") == ["1", "2"]


def test_namespaces_and_header_of_the_envelope_still_count() -> None:
    data = (
        b"<a:T xmlns:a='urn:a'><Content xmlns:b='urn:b'><Code> X </Code>"
        b"<a:Mark><b:c>1</b:c></a:Mark></Content><Content><Mark>2</Mark></Content><Mark>&</Mark></a:T>"
    )
    first, second, third = salvage(io.BytesIO(data), FORMAT, 0)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert first.element.tag == "{urn:a}Mark"
    assert first.element[0].tag == "{urn:b}c"
    assert (first.header, second.header) == ({"code": "X"}, {})
    assert isinstance(third, Rejected)


@pytest.mark.parametrize("aside", ["<!-- %s -->", "<![CDATA[%s]]>", "<?old %s?>"])
def test_what_a_comment_says_of_the_envelope_does_not_count(aside: str) -> None:
    old = aside % '<Code xmlns:x="urn:old">OLD</Code></Content><Content>'
    text = f"<T>{old}<Content>{old}<Code>A</Code>{old}<Mark>1</Mark></Content><Mark>2</Mark>&</T>"
    one, two = salvage(io.BytesIO(text.encode()), FORMAT, 0)
    assert isinstance(one, Record)
    assert isinstance(two, Record)
    assert (one.header, two.header) == ({"code": "A"}, {})
    assert "x" not in one.element.nsmap


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-8", "UTF-8"), ("cp874", "windows-874"), ("utf-16", "UTF-16"), ("utf-16-be", "UTF-16BE")],
)
def test_every_encoding_is_salvaged_without_a_change(encoding: str, declared: str) -> None:
    data = (
        f'<?xml version="1.0" encoding="{declared}"?>\n<T><Mark>ชา</Mark>\n<Mark>&</Mark>'
        "<Sign>ข้าว</Sign></T>"
    ).encode(encoding)
    assert salvaged(data) == ["ชา", "line 3", "ข้าว"]


@pytest.mark.parametrize(
    "head", ["<?xml version = '1.0' encoding = '%s'?>", "\n <?xml encoding='%s'?>"]
)
def test_an_encoding_is_found_however_it_is_declared(head: str) -> None:
    data = (head % "windows-874" + "<T><Mark>ตรา</Mark><Mark>&</Mark></T>").encode("cp874")
    assert salvaged(data)[0] == "ตรา"


def test_a_byte_that_is_no_character_is_rejected_not_replaced() -> None:
    assert salvaged(b"<T><Mark>a\xffb</Mark><Mark>2</Mark></T>") == ["line 1", "2"]


def test_lines_of_salvaged_elements_are_those_of_the_file() -> None:
    data = b"<T>\n<Mark>&</Mark>\n\n<Mark>\n<a/>\n<b/></Mark></T>"
    _, record = salvage(io.BytesIO(data), FORMAT, 0)
    assert isinstance(record, Record)
    assert [record.element.sourceline, *(part.sourceline for part in record.element)] == [4, 5, 6]


def test_lines_are_known_however_far_down_they_are() -> None:
    """lxml takes no line beyond 65,535 from us."""
    data = b"<T>" + b"\n" * 70_000 + b"<Mark>&</Mark>\n<Mark>\n<a>1</a></Mark></T>"
    rejected, record = salvage(io.BytesIO(data), FORMAT, 0)
    assert isinstance(rejected, Rejected)
    assert isinstance(record, Record)
    assert rejected.line == 70_001
    assert [record.element.sourceline, record.element[0].sourceline] == [70_002, 70_003]


@pytest.mark.parametrize("is_file", [True, False], ids=["file", "member"])
def test_a_large_document_is_cut_up_where_it_lies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_file: bool
) -> None:
    marks = [f"<Mark>\n{n}{'&' if n == 20 else ''}</Mark>\n" for n in range(100)]
    data = f"<T>\n{''.join(marks)}</T>".encode()
    path = tmp_path / "large.xml"
    path.write_bytes(data)
    expected = salvaged(data)
    assert expected[19:22] == ["\n19", "line 43", "\n21"]
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 50)
    monkeypatch.setattr(module, "STEP_BYTES", 7)
    with path.open("rb") as file:
        source = file if is_file else io.BytesIO(data)
        found = [
            "".join(one.element.itertext()) if isinstance(one, Record) else f"line {one.line}"
            for one in salvage(source, FORMAT, 0, tmp_path)
        ]
    assert found == expected
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<T><Mark>1</Mark><Mark>&</Mark></T>" + b" " * 60, "more than 90 bytes"),
        (b"<T><Mark>" + b"1" * 60 + b"</Mark></T>", "in one record or between two"),
        (b"<T>" + b"1" * 60 + b"<Mark>1</Mark></T>", "in one record or between two"),
        ("<T><Mark>1</Mark><Mark>&</Mark></T>".encode("utf-16"), "more than 50 bytes"),
    ],
    ids=["whole", "record", "between", "UTF-16"],
)
def test_what_is_too_large_to_cut_up_is_refused(
    monkeypatch: pytest.MonkeyPatch, data: bytes, words: str
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 50)
    monkeypatch.setattr(module, "MAX_SALVAGE_BYTES", 90)
    with pytest.raises(OversizedDelivery, match=words):
        salvaged(data)


def test_utf_16_that_is_not_is_refused() -> None:
    with pytest.raises(UnreadableDelivery):
        salvaged(b"\xff\xfe<\x00T\x00>\x00\x00\xd8<\x00")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"<T>" + b"<Mark " * 20_000, 20_000),
        (b"<T>" + b"<Mark>1\n" * 20_000, 20_000),
        (b"<T>" + b"<!-- <Mark>" * 20_000, 20_000),
        (b"<T>" + b"<![CDATA[<?<!--" * 20_000, 0),
        (b"<T>" + b"</Mark>" * 20_000, 0),
        (b"<T>" + b"\n" * 1_000_000 + b"<Mark>&</Mark>" * 2_000, 2_000),
    ],
    ids=["unclosed tags", "unclosed records", "comments", "sections", "closings", "lines"],
)
def test_the_work_grows_with_the_size_and_not_with_its_square(data: bytes, found: int) -> None:
    assert len(salvaged(data)) == found  # minutes, if it did


def test_a_record_of_nothing_but_markup_costs_only_itself() -> None:
    dense = f"<Mark>{'<a/>' * RECORD_MARKUP}</Mark>"
    data = f"<T>\n<Mark>1</Mark>\n{dense}\n<Mark>3</Mark><Mark>&</Mark></T>".encode()
    assert salvaged(data) == ["1", "line 3", "3", "line 4"]


def test_namespaces_without_end_are_not_declared_again_for_every_record() -> None:
    def spaces(count: int) -> str:
        return " ".join(f'xmlns:n{n}="u{n}"' for n in range(count))

    marks = "<Mark>1</Mark><Mark>&</Mark></T>"
    assert salvaged(f"<T {spaces(module.MAX_PREFIXES)}>{marks}".encode()) == ["1", "line 1"]
    with pytest.raises(OversizedDelivery, match="256 namespaces"):
        salvaged(f"<T {spaces(module.MAX_PREFIXES + 1)}>{marks}".encode())


def test_random_cuts_raise_nothing_but_our_errors() -> None:
    data = "<T xmlns:a='b'><Code>x</Code><Mark>1</Mark><Mark>ก<a:b/></Mark><Sign/></T>".encode()
    for start in range(0, len(data), 3):
        for end in range(start, len(data), 5):
            try:
                salvaged(data[:start] + b"\xf0<" + data[end:])
            except DeliveryError:
                continue
