"""The walk over one record: text, attributes, mark-up, nesting, and shapes nobody foresaw."""

import datetime as dt
import gc
from typing import Any
from xml.etree import ElementTree

import pytest
from lxml import etree

from ipregister import elements
from ipregister.levels import Level
from ipregister.mapping import RecordMapping
from ipregister.model import Right
from ipregister.profiles import Format

ELEMENTS: dict[str, Any] = {
    "Number": [{"field": "applicationNumber"}],
    "@language": [{"field": "applicationLanguageCode", "as": "language"}],
    "Bag/Number": [{"field": "registrationNumber"}],
    "Words/Word": [{"field": "markVerbalElements"}],
    "Goods": [{"item": "goodsServices"}],
    "Goods/Class": [{"field": "goodsServices.classNumber", "as": "nice"}],
    "Goods/Text": [{"field": "goodsServices.descriptions"}],
    "Publication": [{"item": "publications"}],
    "Publication/Day": [
        {"item": "statusEvents", "set": {"category": "published"}, "field": "statusEvents.date"},
        {"field": "publications.date"},
    ],
    "Skip": [{"ignore": True}],
}


def read(document: str) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    format = Format.model_validate(
        {
            "format": "plain",
            "reader": "xml",
            "right": "trademarks",
            "record": "Mark",
            "elements": ELEMENTS,
        }
    )
    unknown: dict[str, list[Any]] = {}
    element = etree.fromstring(document, etree.XMLParser(remove_comments=True, remove_pis=True))
    return RecordMapping("KH", Right.TRADEMARKS, format).apply(element, {}, unknown).row, unknown


def words(document: str) -> list[str]:
    return [word["text"] for word in read(document)[0].get("markVerbalElements", [])]


def test_the_same_name_at_another_place_is_another_thing() -> None:
    row, unknown = read("<Mark><Bag><Number>2</Number></Bag><Number>1</Number></Mark>")
    assert (row["applicationNumber"], row["registrationNumber"]) == ("1", "2")
    assert unknown == {}


def test_a_record_is_freed_without_a_look_for_cycles() -> None:
    """That look is paused while a delivery is read: what waits for it stays in memory."""
    gc.collect()
    gc.disable()
    try:
        read("<Mark><Publication><Day>2024-02-29</Day><Day>2024-03-01</Day></Publication></Mark>")
        # The format that was compiled for it is one big cycle, and no list of values.
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [each for each in gc.garbage if isinstance(each, Level)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


def test_one_element_tells_of_two_lists() -> None:
    row, _ = read("<Mark><Publication><Day>2024-02-29</Day></Publication></Mark>")
    day = dt.date(2024, 2, 29)
    assert row["publications"] == [{"date": day}]
    assert row["statusEvents"] == [{"category": "published", "date": day}]


@pytest.mark.parametrize("prefix", ["", "a:", "b:"])
def test_namespaces_and_prefixes_do_not_matter(prefix: str) -> None:
    row, _ = read(
        f"<Mark xmlns:a='urn:a' xmlns:b='urn:b'><{prefix}Number>1</{prefix}Number></Mark>"
    )
    assert row["applicationNumber"] == "1"


def test_attributes_are_found_with_and_without_a_namespace() -> None:
    assert read("<Mark language='km'/>")[0] == {"applicationLanguageCode": "km"}
    assert read("<Mark xmlns:c='urn:c' c:language='km'/>")[0] == {"applicationLanguageCode": "km"}
    assert read("<Mark language='  '/>")[0] == {}


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("  ONE\n TWO ", ["ONE\n TWO"]),
        ("ONE<!-- not here -->TWO", ["ONETWO"]),
        ("<![CDATA[A & B]]>", ["A & B"]),
        ("ONE <b>TWO</b> THREE", ["ONE TWO THREE"]),
        ("<b>ONE</b>", ["ONE"]),
        ("H<Sub>2</Sub>O<sup>\n a </sup>", ["H2O a"]),
        ("<b><i>T</i></b>EA<br/>RICE<P>ONE</P><P>TWO</P>", ["TEA RICE ONE TWO"]),
        ("<b>ONE</b> <i>TWO</i>", ["ONE TWO"]),
        ("<b>CO</b><Sub>2</Sub><b>GAS</b>", ["CO2 GAS"]),
        ("", []),
        (" \u200b ", ["\u200b"]),
        ("cafe\u0301", ["cafe\u0301"]),
        ("\u202eEVIL", ["\u202eEVIL"]),
    ],
)
def test_a_text_is_taken_as_it_stands(inside: str, expected: list[str]) -> None:
    assert words(f"<Mark><Words><Word>{inside}</Word></Words></Mark>") == expected


def test_a_group_that_stands_twice_is_read_twice() -> None:
    document = "<Mark><Words><Word>A</Word></Words><Words><Word>B</Word></Words></Mark>"
    assert words(document) == ["A", "B"]


def test_an_item_without_members_is_no_item() -> None:
    row, _ = read(
        "<Mark><Goods/><Goods><Class>99</Class></Goods><Goods><Class>9</Class></Goods></Mark>"
    )
    assert row["goodsServices"] == [{"classNumber": 9}]


def test_what_is_ignored_is_ignored_to_the_ground() -> None:
    row, unknown = read("<Mark><Skip><Number>1</Number><New/></Skip></Mark>")
    assert (row, unknown) == ({}, {})


@pytest.mark.parametrize(
    ("inside", "where"),
    [
        ("<Bag>lost</Bag>", "Bag/text()"),
        ("<Goods>lost<Class>9</Class></Goods>", "Goods/text()"),
        ("<Goods><Class>9</Class> lost </Goods>", "Goods/text()"),
        ("<Words>lost<Word>A</Word>lost</Words>", "Words/text()"),
        ("lost<Number>1</Number>", "text()"),
        ("<Skip/>lost", "text()"),
    ],
)
def test_text_between_elements_is_reported_as_unknown(inside: str, where: str) -> None:
    _, unknown = read(f"<Mark>{inside}</Mark>")
    assert unknown == {where: [inside.count("lost"), 1]}


def test_white_space_between_elements_is_nothing() -> None:
    assert read("<Mark>\n <Goods>\n\t<Class>9</Class>\n </Goods>\n</Mark>")[1] == {}


def test_a_record_nested_in_itself_is_unknown_not_endless() -> None:
    depth = 200
    _, unknown = read("<Mark>" * depth + "</Mark>" * depth)
    assert unknown == {"Mark": [1, 1]}


def test_the_walk_takes_elements_of_the_standard_library_too() -> None:
    element: Any = ElementTree.fromstring("<Mark a='1'/>")
    assert elements.attribute(element, "a") == "1"
    assert elements.attribute(element, "b") is None
    assert elements.local_name("{urn:a}Mark") == elements.local_name("Mark") == "Mark"


def test_attributes_in_place_of_a_text_are_counted_as_unknown() -> None:
    spaces = "xmlns:i='http://www.w3.org/2001/XMLSchema-instance' xmlns:c='urn:c'"
    row, unknown = read(
        f"<Mark {spaces}><Number value='1'/><Number c:value='2'> </Number><Number i:nil='true'/>"
        "<Words><Word languageCode='km'/></Words><Number x='y'>3</Number></Mark>"
    )
    assert row == {"applicationNumber": "3"}
    assert unknown == {"Number/@value": [2, 1]}


def test_attributes_in_place_of_children_are_counted_as_unknown() -> None:
    row, unknown = read(
        "<Mark number='1' st96Version='V6_0' officeCode='KH'>"
        "<Goods sequenceNumber='1' class='9'><Text>a</Text></Goods><Goods class='12'/>"
        "<Bag Number='2'/><Skip by='intent'/></Mark>"
    )
    assert row["goodsServices"] == [{"descriptions": [{"text": "a"}]}]
    assert unknown == {"@number": [1, 1], "Goods/@class": [2, 1], "Bag/@Number": [1, 1]}


def test_a_text_is_in_the_language_of_what_is_around_it() -> None:
    row, unknown = read(
        "<Mark languageCode='fr'><Words><Word>A</Word></Words>"
        "<Words languageCode='km'><Word>B</Word><Word languageCode='en'>C</Word></Words>"
        "<Words><Word>D</Word></Words></Mark>"
    )
    assert row["markVerbalElements"] == [
        {"text": "A"},
        {"text": "B", "languageCode": "km"},
        {"text": "C", "languageCode": "en"},
        {"text": "D"},
    ]
    assert unknown == {}


def test_a_text_may_say_its_language_in_the_way_of_xml() -> None:
    row, unknown = read(
        "<Mark><Words><Word xml:lang='km'>A</Word></Words>"
        "<Words xml:lang='km'><Word>B</Word><Word languageCode='en' xml:lang='fr'>C</Word></Words>"
        "</Mark>"
    )
    assert row["markVerbalElements"] == [
        {"text": "A", "languageCode": "km"},
        {"text": "B", "languageCode": "km"},
        {"text": "C", "languageCode": "en"},
    ]
    assert unknown == {}
