"""The strict, streaming reader: encodings offices use, and documents made to hurt."""

import io
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from connectors.readers import raw_xml, xml, xml_guards
from connectors.readers.salvage import salvage
from connectors.readers.unread import OtherElement, OtherRecord, root_name
from connectors.readers.xml_guards import MalformedDocument
from ipregister.errors import (
    DeliveryError,
    IncompleteDelivery,
    OversizedDelivery,
    UnreadableDelivery,
)
from ipregister.model import Right
from ipregister.profiles import Format

FORMAT = Format.model_validate(
    {
        "format": "test",
        "reader": "xml",
        "right": "trademarks",
        "record": "Mark",
        "beside": ["x", "Sent"],
        "envelope": "Content",
        "header": {"Code": "code"},
        "elements": {},
    }
)


def document(*marks: str, head: str = "") -> str:
    return f"{head}<T><Content><Code>A</Code>{''.join(marks)}</Content></T>"


def read(
    data: bytes,
) -> list[tuple[str, dict[str, str]] | xml.Rejected | OtherRecord | OtherElement]:
    return [
        record
        if not isinstance(record, xml.Record)
        else ("".join(record.element.itertext()), dict(record.header))
        for record in xml.records(io.BytesIO(data), FORMAT)
    ]


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", ""),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-16-le", "UTF-16"),
        ("cp874", "windows-874"),
        ("tis-620", "TIS-620"),
        ("iso8859-11", "ISO-8859-11"),
    ],
)
def test_thai_reads_the_same_in_every_encoding(encoding: str, declared: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    data = document("<Mark>เครื่องหมายการค้า</Mark>", head=head).encode(encoding)
    assert read(data) == [("เครื่องหมายการค้า", {"code": "A"})]


@pytest.mark.parametrize(
    "text", ["cafe\u0301", "café", "a\u202eb", "ដើម\u200bឆ្នាំ", "ສ\u0eb3", "ສ\u0ecd\u0eb2"]
)
def test_text_is_kept_to_the_code_point(text: str) -> None:
    assert read(document(f"<Mark>{text}</Mark>").encode()) == [(text, {"code": "A"})]


def test_comments_and_sections_do_not_cut_a_text() -> None:
    data = document("<Mark>A<!-- <Mark>x</Mark> -->B<?pi ?>C<![CDATA[<D>&]]>E&amp;F</Mark>")
    assert read(data.encode()) == [("ABC<D>&E&F", {"code": "A"})]


@pytest.mark.parametrize("size", [0, xml.WHOLE_BYTES])
def test_only_indentation_is_lost(size: int) -> None:
    spoken = "  two words  <b>of</b> <i>mixed</i> content &amp; more  "
    marks = f"\n  <Mark>\n    <A>{spoken}</A>\n    <B/>\n  </Mark>\n"
    data = document(marks, head="<!--" + "x" * size + "-->").encode()
    record = next(xml.records(io.BytesIO(data), FORMAT))
    assert isinstance(record, xml.Record)
    said, empty = record.element
    assert "".join(said.itertext()) == "  two words  of mixed content & more  "
    assert (record.element.text, said.tail, empty.tail) == (None, None, None)
    assert (record.element.sourceline, said.sourceline, empty.sourceline) == (2, 3, 4)


def test_a_header_counts_for_its_own_envelope() -> None:
    data = (
        "<T><Content><Code>A</Code><Mark>1</Mark></Content><Content><Mark>2</Mark></Content>"
        "<Content><Code>C</Code><Mark>3</Mark><Mark>4</Mark></Content></T>"
    )
    assert read(data.encode()) == [
        ("1", {"code": "A"}),
        ("2", {}),
        ("3", {"code": "C"}),
        ("4", {"code": "C"}),
    ]


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        ("<Data><Mark>1</Mark></Data><Code>B</Code>", {"code": "B"}),
        ("<Data><Mark>1</Mark></Data><!-- end --><Code> B </Code>", {"code": "B"}),
        ("<Code>A</Code><Data><Mark>1</Mark></Data><Code>B</Code>", {"code": "A"}),
        ("<Data><Mark>1</Mark></Data><Code/>", {}),
    ],
)
def test_a_header_may_stand_behind_the_records(envelope: str, code: dict[str, str]) -> None:
    one = f"<Content>{envelope}</Content>"
    other = "<Content><Data><Mark>2</Mark></Data></Content>"
    assert read(f"<T>{one}{other}</T>".encode()) == [("1", code), ("2", {})]


@pytest.mark.parametrize("size", [0, xml.WHOLE_BYTES])
def test_a_header_around_the_envelopes_counts_for_all(size: int) -> None:
    """However large the document is: whole and by events it is read alike, and so in pieces."""
    data = (
        f"<T><Code>A</Code><x>{'x' * size}</x><Content><Mark>1</Mark></Content>"
        "<Content><Code>B</Code><Mark>2</Mark></Content><Content><Mark>3</Mark></Content></T>"
    ).encode()
    expected = [("1", {"code": "A"}), ("2", {"code": "B"}), ("3", {"code": "A"})]
    assert read(data) == expected
    salvaged = [r for r in salvage(io.BytesIO(data[:-4]), FORMAT, 0) if isinstance(r, xml.Record)]
    assert [(r.element.text, dict(r.header)) for r in salvaged] == expected


BOMB = "<!DOCTYPE T [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"


@pytest.mark.parametrize(
    "head",
    [
        BOMB,
        f"<!-- {'x' * 100} -->{BOMB}",
        f"<!-- {'x' * 70_000} -->{BOMB}",
        "<!DOCTYPE T SYSTEM 'a>b.dtd' [<!ENTITY a 'ha'>]>",
        "<!DOCTYPE T [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
        "<!DOCTYPE T [<!ENTITY % p SYSTEM 'http://127.0.0.1:9/x.dtd'> %p;]>",
        "<!doctype T [<!ENTITY a 'ha'>]>",
    ],
    ids=["bomb", "behind a comment", "far down", "quoted", "file", "net", "small"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_that_declares_entities_is_refused(head: str, encoding: str) -> None:
    with pytest.raises(UnreadableDelivery):
        read(document("<Mark>1</Mark>", head=head).encode(encoding))


def test_the_words_doctype_in_a_comment_or_a_text_are_no_declaration() -> None:
    data = document(f"<Mark><![CDATA[{BOMB}]]></Mark>", head=f"<!-- {BOMB} -->")
    assert read(data.encode()) == [(BOMB, {"code": "A"})]


def test_a_document_type_without_a_subset_is_read_and_never_fetched() -> None:
    data = document("<Mark>1</Mark>", head='<!DOCTYPE T SYSTEM "http://127.0.0.1:9/x.dtd">')
    assert read(data.encode()) == [("1", {"code": "A"})]


def test_a_reference_nobody_declared_costs_its_record_and_not_its_meaning() -> None:
    head = '<!DOCTYPE T SYSTEM "x.dtd">\n'
    data = document(
        "<Mark>1</Mark>", "\n<Mark><W>A&eacute;B</W></Mark>", "<Mark>3</Mark>", head=head
    )
    one, two, three = read(data.encode())
    assert (one, three) == (("1", {"code": "A"}), ("3", {"code": "A"}))
    assert isinstance(two, xml.Rejected)
    assert two.line == 3
    assert "&eacute;" in two.reason


@pytest.mark.parametrize(
    ("data", "error", "line"),
    [
        (document("<Mark>A & B</Mark>"), MalformedDocument, 1),
        (document("<Mark>1</Mark>\n<Mark><a></Mark>"), MalformedDocument, 2),
        (document("<Mark>\0</Mark>"), MalformedDocument, 1),
        (document("<Mark>\x1c</Mark>"), MalformedDocument, 1),
        (document("<Mark>&#x1C;</Mark>"), MalformedDocument, 1),
        (document("<Mark>&nbsp;</Mark>"), MalformedDocument, 1),
        (document("<Mark><x:y/></Mark>"), MalformedDocument, 1),
        (document("<Mark a='1' a='2'/>"), MalformedDocument, 1),
        (document("<Mark>1</Mark>") + "\n<T></T>", MalformedDocument, 2),
        (document("<Mark>1</Mark>") + "\nand more", MalformedDocument, 2),
        (document(head='<?xml version="1.0" encoding="klingon"?>'), MalformedDocument, None),
        (document(head=" <?xml version='1.0'?>"), MalformedDocument, 1),
    ],
)
def test_what_is_not_well_formed_is_refused_with_its_line(
    data: str, error: type[MalformedDocument], line: int | None
) -> None:
    with pytest.raises(error) as caught:
        read(data.encode())
    assert line in (None, caught.value.line)
    assert caught.value.detail


def test_bytes_of_another_encoding_are_refused() -> None:
    with pytest.raises(MalformedDocument):
        read(document("<Mark>กข</Mark>").encode("cp874"))


@pytest.mark.parametrize("cut", [8, 15, 40])
def test_what_ends_too_early_is_incomplete(cut: int) -> None:
    with pytest.raises(IncompleteDelivery, match="line 2"):
        read(document("<Mark>1</Mark>\n<Mark>2</Mark>" + " " * 40).encode()[:-cut])


def test_nothing_is_an_empty_file() -> None:
    with pytest.raises(IncompleteDelivery, match="empty"):
        read(b"")


@pytest.mark.parametrize(
    "inside",
    ["<a>" * 300 + "</a>" * 300, f"<a>{'x' * 10_000_001}</a>", f"<a b='{'x' * 10_000_001}'/>"],
    ids=["depth", "text", "attribute"],
)
def test_what_is_too_deep_or_too_long_is_refused(inside: str) -> None:
    with pytest.raises(OversizedDelivery, match="Line 1"):
        read(document(f"<Mark>{inside}</Mark>").encode())


def test_a_hundred_thousand_attributes_are_only_slow_to_write() -> None:
    many = " ".join(f"a{n}='1'" for n in range(100_000))
    assert read(document(f"<Mark {many}>1</Mark>").encode()) == [("1", {"code": "A"})]


def dense(markup: str, inside: str = "", attributes: str = "") -> str:
    """Return a mark with ``markup`` twice as often as it may, each with a number of its own."""
    many = "".join(markup.format(n) for n in range(2 * xml_guards.RECORD_MARKUP))
    return f"<Mark{attributes.format(many)}>{inside.format(many)}1</Mark>"


DENSE = {
    "elements": dense("<a/>", inside="{}"),
    "attributes": dense(" a{}=''", attributes="{}"),
    "namespaces": dense(" xmlns:n{}='u'", attributes="{}"),
    "instructions": dense("<?a?>", inside="{}"),
    "sections": dense("<![CDATA[<![CDATA[]]>", inside="{}"),
}


@pytest.mark.parametrize("what", DENSE)
@pytest.mark.parametrize("size", [0, xml.WHOLE_BYTES])
def test_a_record_of_nothing_but_markup_is_refused(what: str, size: int) -> None:
    """A tag of four bytes takes 230 in memory, so bytes alone are no limit."""
    data = document(DENSE[what], head=f"<!--{'x' * size}-->").encode()
    with pytest.raises(OversizedDelivery, match="500,000 tags and attributes"):
        read(data)


def test_many_records_may_have_together_what_one_may_not() -> None:
    marks = [f"<Mark>{'<a/>' * 1_000}{n}</Mark>" for n in range(1_000)]
    assert [text for text, _ in read(document(*marks).encode())] == [str(n) for n in range(1_000)]


def test_a_document_in_utf_7_is_not_read() -> None:
    head = '<?xml version="1.0" encoding="UTF-7"?>'
    with pytest.raises(MalformedDocument):
        read(document("<Mark>+ADw-script+AD4-</Mark>", head=head).encode())


class Long(io.RawIOBase):
    """A document that does not come to a record for 8 MiB."""

    def __init__(self) -> None:
        self.left = 256

    def read(self, size: int = -1, /) -> bytes:
        self.left -= 1
        other = b"<Other/>" * 8192
        return b"<T>" + other if self.left == 255 else other if 0 < self.left < 255 else b""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.left = 256
        return 0


def test_a_document_without_records_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(xml_guards, "RECORD_BYTES", 1 << 20)
    monkeypatch.setattr(xml, "WHOLE_BYTES", xml.PROLOG_BYTES)
    with pytest.raises(OversizedDelivery, match="without the end of a record"):
        list(xml.records(Long(), FORMAT))  # type: ignore[arg-type]


def test_records_of_large_documents_are_forgotten_when_the_next_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(xml, "WHOLE_BYTES", xml.PROLOG_BYTES)
    records: Iterator[xml.Found] = xml.records(
        io.BytesIO(document(*("<Mark><a/></Mark>" for _ in range(5_000))).encode()), FORMAT
    )
    first = next(records)
    assert isinstance(first, xml.Record)
    next(records)
    assert len(first.element) == 0


@pytest.mark.parametrize("whole", [xml.WHOLE_BYTES, xml.PROLOG_BYTES])
def test_what_names_a_record_beside_the_records_is_told(
    whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xml, "WHOLE_BYTES", whole)
    st13 = "<ST13ApplicationNumber>{}</ST13ApplicationNumber>"
    other = f"\n<mark><ApplicationNumber>{st13}</ApplicationNumber></mark>"
    one, two, three, four = map(other.format, range(1, 5))
    envelope = f"<Content><Code>B</Code><Data>{three}</Data></Content>"
    data = (
        f"<T><x>{'x' * xml.PROLOG_BYTES}</x><Content><Code>A</Code><Mark>I</Mark>{one}</Content>"
        f"{envelope}<Content><Sent><by>me</by></Sent>{two}<Mark><RegistrationNumber>9</RegistrationNumber>"
        f"</Mark></Content>{four}<ApplicationNumber>of the file</ApplicationNumber></T>"
    )
    found = read(data.encode())
    others = [each for each in found if isinstance(each, OtherRecord)]
    assert sorted(others, key=lambda other: other.line) == [
        OtherRecord(line, "mark", number)
        for line, number in ((2, "1"), (3, "3"), (4, "2"), (5, "4"))
    ]
    assert [each[0] for each in found if isinstance(each, tuple)] == ["I", "9"]


@pytest.mark.parametrize("whole", [xml.WHOLE_BYTES, xml.PROLOG_BYTES])
def test_a_text_beside_the_records_is_told_with_its_path(
    whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xml, "WHOLE_BYTES", whole)
    person = "\n<Persons><Person><Name>A</Name></Person><Person/></Persons>"
    mark = "<Mark>I<Person>no</Person></Mark>"
    data = (
        f"<T><Sent><by>me{' ' * xml.PROLOG_BYTES}</by></Sent><Content><Code>A</Code><no> </no>"
        f"{person}<Data>{mark}</Data></Content><Content><Code>B</Code><Data>{mark}{mark}{person}"
        "</Data></Content>\n<note>all</note></T>"
    )
    found = read(data.encode())
    others = [each for each in found if isinstance(each, OtherElement)]
    assert sorted(others, key=lambda other: other.line) == [
        OtherElement(2, "/T/Content/Persons"),
        OtherElement(3, "/T/Content/Data/Persons"),
        OtherElement(4, "/T/note"),
    ]
    assert len(found) == 6


def test_one_record_of_a_document_needs_no_others_to_be_told() -> None:
    (record, told) = read(document("<Data><Mark>I</Mark></Data><note>x</note>").encode())
    assert (record[0], told) == ("I", OtherElement(1, "/T/Content/note"))  # type: ignore[index]


@pytest.mark.parametrize(
    ("head", "right"),
    [
        (
            '<Transaction xmlns="http://www.wipo.int/standards/XMLSchema/trademarks">',
            Right.TRADEMARKS,
        ),
        ('<d:X xmlns:d="http://www.wipo.int/standards/XMLSchema/ST96/Design">', Right.DESIGNS),
        (
            '<?xml version="1.0"?><!-- a --><p:Bag xmlns:d="http://www.wipo.int/standards/XMLSchema/ST96/Design"'
            '\n xmlns:p = "http://www.wipo.int/standards/XMLSchema/ST96/Patent">',
            Right.PATENTS,
        ),
        (
            '<Bag xmlns:t="http://www.wipo.int/standards/XMLSchema/ST96/Trademark"'
            " xmlns='http://www.wipo.int/standards/XMLSchema/ST96/Design'>",
            Right.DESIGNS,
        ),
        ('<X xmlns:p="http://www.wipo.int/standards/XMLSchema/ST96/Patent">', Right.PATENTS),
        ("<us-patent-application>", None),
        ("<wo-patent-document>", Right.PATENTS),
        ("<Something>", None),
    ],
)
def test_a_document_says_which_right_it_is_for(head: str, right: Right | None) -> None:
    source = io.BytesIO(head.encode())
    assert raw_xml.right_of(source) is right
    assert source.tell() == 0


@pytest.mark.parametrize("bad", ["<T><Mark>", "<T><Mark><p:a/></Mark></T>", "<!DOCTYPE T><T/>"])
def test_one_document_leaves_nothing_behind_for_the_next(bad: str) -> None:
    good = document("<Mark>ក</Mark>").encode("utf-16")
    before = read(good)
    with suppress(DeliveryError):
        read(bad.encode())
    assert read(good) == before == [("ក", {"code": "A"})]


def test_the_root_is_named_without_its_prefix() -> None:
    assert root_name(io.BytesIO(b"<a:Root xmlns:a='x'><b/></a:Root>")) == "Root"
    with pytest.raises(DeliveryError):
        root_name(io.BytesIO(b"  "))


def test_every_prefix_of_a_document_raises_only_our_errors() -> None:
    data = document(
        "<Mark>1</Mark>", "<Mark><a b='c'>2</a></Mark>", head="<?xml version='1.0'?>"
    ).encode()
    attempt = partial(pytest.raises, DeliveryError)
    for end in range(len(data) - 3):
        with attempt():
            read(data[:end])
