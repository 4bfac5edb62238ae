"""One record and one format become one row: every kind of entry, every kind of trouble."""

from typing import Any

import pytest
from lxml import etree

from ipregister.errors import ConfigurationError
from ipregister.mapping import Mapped, RecordMapping, mapping_for
from ipregister.model import Right
from ipregister.profiles import Format, load_profile, offices

ELEMENTS: dict[str, Any] = {
    "Number": {"field": "applicationNumber"},
    "Registered": {"field": "registrationNumber"},
    "Filed": {"field": "applicationDate"},
    "Status": [
        {"field": "officeStatus"},
        {"field": "status", "vocabulary": "status", "unmapped": "unknown", "issue": "ALL.CNF.006"},
    ],
    "Word": {"field": "markVerbalElements"},
    "Codes/Code": {
        "item": "classifications", "set": {"scheme": "vienna"},
        "field": "classifications.symbol", "as": "vienna",
    },
    "Party": {"item": "applicants"},
    "Party/@id": {"field": "applicants.identifier"},
    "Party/Name": {"field": "applicants.names"},
    "Party/Street": {"field": "applicants.addressLines"},
    "Party/Country": {"field": "applicants.countryCode", "as": "country"},
    "Event": {"item": "events"},
    "Event/Date": {"field": "events.date"},
    "Event/What": {"field": "events.category"},
    "Noise": {"ignore": True},
}  # fmt: skip


def mapping(**changes: Any) -> RecordMapping:
    document = {
        "format": "plain",
        "reader": "xml",
        "right": "trademarks",
        "record": "Mark",
        "placeholders": ["-"],
        "vocabularies": {"status": {"Filed": "filed"}},
        "route": [
            {"from": "events", "by": "category", "to": {"filed": "statusEvents"},
             "otherwise": "examinationEvents"}
        ],
        **changes,
    }  # fmt: skip
    elements = ELEMENTS | document.get("elements", {})
    document["elements"] = {
        path: entries if isinstance(entries, list) else [entries]
        for path, entries in elements.items()
    }
    return RecordMapping("KH", Right.TRADEMARKS, Format.model_validate(document))


def mapped(inside: str, header: dict[str, str] | None = None, **changes: Any) -> Mapped:
    record = etree.fromstring(f'<x:Mark xmlns:x="urn:x">{inside}</x:Mark>')
    return mapping(**changes).apply(record, header or {}, {})


def told(record: Mapped) -> list[tuple[str, str, str, int | None]]:
    return [(issue.code, issue.field, issue.value, issue.line) for issue in record.issues]


def test_a_row_has_what_the_record_says_and_nothing_else() -> None:
    record = mapped(
        "<Number>KH/1</Number><Filed>2019-05-02</Filed><Status>Filed</Status>"
        "<Word languageCode='en'>ONE</Word><Noise><Deep>x</Deep></Noise>"
    )
    assert record.issues == []
    assert record.row["applicationDate"].isoformat() == "2019-05-02"
    assert {name: record.row[name] for name in ("applicationNumber", "officeStatus", "status")} == {
        "applicationNumber": "KH/1",
        "officeStatus": "Filed",
        "status": "filed",
    }
    assert record.row["markVerbalElements"] == [{"text": "ONE", "languageCode": "en"}]
    assert set(record.row) == {
        "applicationNumber", "applicationDate", "officeStatus", "status", "markVerbalElements",
    }  # fmt: skip
    assert record.key == "KH/trademarks/KH/1"


def test_an_unmapped_word_keeps_the_record_the_word_and_its_line() -> None:
    record = mapped("<Number>1</Number>\n<Status>486</Status>")
    assert (record.row["status"], record.row["officeStatus"]) == ("unknown", "486")
    assert told(record) == [("ALL.CNF.006", "status", "486", 2)]


def test_a_placeholder_is_nothing_and_told() -> None:
    record = mapped("<Number>1</Number>\n<Registered> - </Registered>")
    assert "registrationNumber" not in record.row
    assert told(record) == [("ALL.CMP.016", "registrationNumber", "-", 2)]


def test_an_unreadable_value_is_left_out_with_its_suggestion() -> None:
    record = mapped("<Number>1</Number><Filed>2562-05-02</Filed>")
    assert "applicationDate" not in record.row
    (issue,) = record.issues
    assert (issue.code, issue.suggested) == ("ALL.CNF.003", "2019-05-02")


def test_items_keep_their_members_lines_and_indexes() -> None:
    record = mapped(
        "<Number>1</Number>\n<Party id='7'><Name>A</Name></Party>\n"
        "<Party>\n<Name>B</Name><Country>XQ</Country>\n<Street>1 Road</Street></Party>"
    )
    assert record.row["applicants"] == [
        {"identifier": "7", "names": [{"text": "A"}]},
        {"names": [{"text": "B"}], "addressLines": ["1 Road"]},
    ]
    assert told(record) == [("ALL.CNF.004", "applicants[1].countryCode", "XQ", 4)]
    assert [item[""] for item in record.lines["applicants"]] == [2, 3]
    assert record.lines["applicants"][1]["addressLines"] == 5


def test_an_element_that_opens_and_fills_an_item_brings_its_constants() -> None:
    record = mapped("<Number>1</Number><Codes><Code>01.03.01</Code><Code>bad</Code></Codes>")
    assert record.row["classifications"] == [{"scheme": "vienna", "symbol": "01.03.01"}]
    assert [issue.code for issue in record.issues] == ["TM.CNF.002"]


def test_what_is_left_out_of_a_list_counts_where_the_element_is_named() -> None:
    codes = "".join(f"<Code>{code}</Code>" for code in ("bad", "01.03.01", "worse", "worst"))
    record = mapped(f"<Number>1</Number><Codes>{codes}</Codes>")
    assert [issue.value for issue in record.issues] == ["bad", "worse", "worst"]
    assert [issue.source for issue in record.issues] == [f"Mark/Codes/Code[{n}]" for n in (1, 3, 4)]


def test_an_issue_names_the_element_that_has_the_text_of_all_that_fill_its_field() -> None:
    inside = (
        "<Number>1</Number><Party><Name/></Party>" + "<Party id='-'><Land>??</Land></Party>" * 2
    )
    inside += "<Code>bad</Code><Codes><Code>bad</Code></Codes>"
    record = mapped(
        inside,
        elements={
            "Party/Land": {"field": "applicants.countryCode", "as": "country"},
            "Code": ELEMENTS["Codes/Code"],
        },
    )
    assert [issue.source for issue in record.issues] == [
        "Mark/Party[2]/@id",
        "Mark/Party[2]/Land",
        "Mark/Party[3]/@id",
        "Mark/Party[3]/Land",
        "Mark/Code[1]",
        "Mark/Codes/Code[1]",
    ]


def test_events_go_where_their_class_of_disclosure_is() -> None:
    record = mapped(
        "<Number>1</Number><Event><Date>2019-05-02</Date><What>filed</What></Event>"
        "<Event><What>examined</What></Event><Event><What/></Event>"
    )
    assert [event["category"] for event in record.row["statusEvents"]] == ["filed"]
    assert record.row["examinationEvents"] == [{"category": "examined"}]
    assert "events" not in record.row


def test_what_is_wrong_with_an_event_is_told_of_the_field_it_went_to() -> None:
    record = mapped(
        "<Number>1</Number><Event><Date>2019-05-02</Date><What>examined</What></Event>"
        "<Event><Date>31/31/2019</Date><What>filed</What></Event>"
        "<Event><Date>never</Date><What>examined</What></Event><Event><Date>?</Date></Event>"
    )
    assert [(issue.field, issue.value) for issue in record.issues] == [
        ("statusEvents[0].date", "31/31/2019"),
        ("examinationEvents[1].date", "never"),
        ("examinationEvents.date", "?"),
    ]


def test_equal_lines_stand_once_and_several_parties_in_one_are_told() -> None:
    record = mapped(
        "<Number>1</Number><Party><Name languageCode='en'>A Ltd</Name>"
        "<Name languageCode='km'>a ltd</Name><Name languageCode='en'>B Ltd</Name></Party>"
    )
    names = record.row["applicants"][0]["names"]
    assert [name["text"] for name in names] == ["A Ltd", "B Ltd"]
    assert [issue.code for issue in record.issues] == ["ALL.UNQ.005", "ALL.CNS.018"]


def test_a_line_of_an_address_that_stands_twice_is_taken_once_and_told() -> None:
    lines = "".join(f"<Street>{line}</Street>" for line in ("1 Road", "Singapore", "Singapore"))
    record = mapped(f"<Number>1</Number><Party>{lines}</Party>")
    assert record.row["applicants"] == [{"addressLines": ["1 Road", "Singapore"]}]
    (issue,) = record.issues
    assert (issue.code, issue.field) == ("ALL.UNQ.005", "applicants[0].addressLines")
    assert (issue.value, issue.source) == ("Singapore", "Mark/Party[1]/Street")


def test_words_in_another_language_or_case_are_other_words() -> None:
    inside = "".join(
        f"<Word{tag}>{text}</Word>"
        for tag, text in [
            (" languageCode='en'", "ROSE"),
            (" languageCode='en'", "ROSE"),
            (" languageCode='km'", "ROSE"),
            ("", "Rose"),
        ]
    )
    record = mapped(f"<Number>1</Number>{inside}")
    assert record.row["markVerbalElements"] == [
        {"text": "ROSE", "languageCode": "en"},
        {"text": "ROSE", "languageCode": "km"},
        {"text": "Rose"},
    ]


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("Nice", "Vienna", []),
        ("NICE", "vienna", []),
        ("Domestic", "National", ["Domestic", "National"]),
    ],
)
def test_classes_of_another_classification_are_told_once(
    kind: str, code: str, expected: list[str]
) -> None:
    goods = (
        f"<GoodsServices><ClassificationKindCode>{kind}</ClassificationKindCode></GoodsServices>"
    )
    symbols = f"<MarkImageCategory><CategoryKind>{code}</CategoryKind></MarkImageCategory>"
    image = f"<MarkImage>{symbols}</MarkImage>"
    record = etree.fromstring(
        f"<TradeMark><GoodsServicesDetails>{goods * 2}</GoodsServicesDetails>"
        f"<MarkImageDetails>{image * 2}</MarkImageDetails></TradeMark>"
    )
    issues = mapping_for("KH", Right.TRADEMARKS).apply(record, {}, {}).issues
    assert [(issue.code, issue.value) for issue in issues] == [
        ("TM.CNF.008", value) for value in expected
    ]


@pytest.mark.parametrize(
    ("element", "role"), [("Applicant", "applicants"), ("Representative", "representatives")]
)
def test_a_person_may_be_named_in_parts(element: str, role: str) -> None:
    person = "<FirstName>Dara</FirstName><LastName>Sok</LastName>"
    name = f"{person}<OrganizationName>Sok &amp; Co</OrganizationName>"
    book = f"<Name><FormattedName>{name}</FormattedName></Name>"
    book = f"<FormattedNameAddress>{book}</FormattedNameAddress>"
    party = f"<{element}><{element}AddressBook>{book}</{element}AddressBook></{element}>"
    record = etree.fromstring(
        f"<TradeMark><{element}Details>{party}</{element}Details></TradeMark>"
    )
    unknown: dict[str, list[Any]] = {}
    row = mapping_for("KH", Right.TRADEMARKS).apply(record, {}, unknown).row
    assert row[role] == [{"names": [{"text": "Dara Sok"}, {"text": "Sok & Co"}]}]
    assert unknown == {}


def test_a_part_of_a_name_that_stands_twice_is_there_twice() -> None:
    parts = "<LastName>Sok</LastName><FirstName>Dara</FirstName><FirstName>Anna</FirstName>"
    book = f"<Name><FormattedName>{parts}<MiddleName><b>M</b>.</MiddleName></FormattedName></Name>"
    book = f"<FormattedNameAddress>{book}</FormattedNameAddress>"
    party = f"<Applicant><ApplicantAddressBook>{book}</ApplicantAddressBook></Applicant>"
    record = etree.fromstring(
        f"<TradeMark><ApplicantDetails>{party}</ApplicantDetails></TradeMark>"
    )
    row = mapping_for("KH", Right.TRADEMARKS).apply(record, {}, {}).row
    assert row["applicants"] == [{"names": [{"text": "Dara Anna M. Sok"}]}]


def test_a_second_value_of_a_single_field_is_told_and_the_first_stays() -> None:
    record = mapped("<Number>1</Number><Number>2</Number><Number>1</Number>")
    assert record.row["applicationNumber"] == "1"
    assert [(issue.code, issue.value) for issue in record.issues] == [("ALL.CNF.018", "2")]


def test_unknown_elements_are_counted_once_per_path_with_their_first_line() -> None:
    unknown: dict[str, list[Any]] = {}
    record = etree.fromstring("<Mark>\n<New><Deep/></New>\n<New/><Codes><Odd/></Codes></Mark>")
    mapping().apply(record, {}, unknown)
    assert unknown == {"New": [2, 2], "Codes/Odd": [1, 3]}


@pytest.mark.parametrize(
    ("inside", "key"),
    [
        ("<Number>kh / 0001</Number>", "KH/trademarks/KH/0001"),
        ("<Number>\uff2b\uff28/1</Number>", "KH/trademarks/KH/1"),
        ("<Registered>77</Registered>", "KH/trademarks/R77"),
        ("<Number> </Number>", None),
        ("<Number>-</Number>", None),
        ("", None),
    ],
)
def test_a_record_is_known_by_the_offices_own_number(inside: str, key: str | None) -> None:
    assert mapped(inside).key == key


def test_a_number_of_an_unusual_shape_is_told_and_kept() -> None:
    record = mapped("<Number>X1</Number>", numberShapes=["^KH/[0-9]+$"])
    assert record.key == "KH/trademarks/X1"
    assert [issue.code for issue in record.issues] == ["ALL.CNF.001"]


@pytest.mark.parametrize("number", ["๑๒๓", "12\u200b3", "4\u20132019", "К1"])  # noqa: RUF001
def test_a_number_that_only_looks_like_another_is_told_of_any_office(number: str) -> None:
    record = mapped(f"<Number>{number}</Number>")
    assert record.row["applicationNumber"] == number
    assert [(issue.code, issue.value) for issue in record.issues] == [("ALL.CNF.001", number)]
    assert mapped("<Number>AB/12-3 (x)</Number>").issues == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("kh/12/19", "KH/12/19"),
        (" KH / 12/19\u200b", "KH/12/19"),
        ("\u041aH\u221512\u2044๑๙", "KH/12/19"),
        ("KH/12-19", None),
        ("KH/12/x", None),
    ],
)
def test_a_number_is_proposed_where_the_office_has_such(written: str, meant: str | None) -> None:
    record = mapped(f"<Number>{written}</Number>", numberShapes=["^KH/[0-9]+/[0-9]{2}$"])
    assert [issue.suggested for issue in record.issues] == [meant]
    assert record.row["applicationNumber"] == written.strip()
    assert [i.suggested for i in mapped("<Number>4\u20132019</Number>").issues] == ["4-2019"]


def derived(inside: str, *entries: dict[str, Any], header: dict[str, str] | None = None) -> Mapped:
    return mapped(inside, header, derive=list(entries))


def test_a_derivation_fills_what_is_empty_and_says_so() -> None:
    entry = {"field": "registrationNumber", "from": "applicationNumber", "pattern": "^KH/(.+)$"}
    record = derived("<Number>KH/9</Number>", entry)
    assert (record.row["registrationNumber"], record.derived) == ("9", ["registrationNumber"])
    own = derived("<Number>KH/9</Number><Registered>7</Registered>", entry)
    assert (own.row["registrationNumber"], own.derived) == ("7", [])
    forced = derived("<Number>KH/9</Number><Registered>7</Registered>", entry | {"force": True})
    assert (forced.row["registrationNumber"], forced.derived) == ("9", ["registrationNumber"])


def test_a_derivation_may_ask_for_other_values_first() -> None:
    entry = {"field": "rightKind", "value": "gi", "when": {"status": ["filed"], "code": ["GI"]}}
    right = "<Number>1</Number><Status>Filed</Status>"
    assert derived(right, entry, header={"code": "GI"}).row["rightKind"] == "gi"
    assert "rightKind" not in derived(right, entry, header={"code": "TM"}).row
    assert "rightKind" not in derived("<Number>1</Number>", entry, header={"code": "GI"}).row


def test_a_derivation_may_take_a_date_from_a_certain_event() -> None:
    entry = {
        "field": "registrationDate", "from": "statusEvents.date", "where": {"category": ["filed"]},
    }  # fmt: skip
    record = derived(
        "<Number>1</Number><Event><What>filed</What></Event>"
        "<Event><What>filed</What><Date>2020-01-02</Date></Event>",
        entry,
    )
    assert record.row["registrationDate"].isoformat() == "2020-01-02"


@pytest.mark.parametrize(("other", "found"), [("2020-01-02", True), ("2019-12-30", False)])
def test_none_of_several_dates_is_taken_for_the_right_one(other: str, *, found: bool) -> None:
    entry = {"field": "registrationDate", "from": "statusEvents.date"}
    record = derived(
        "<Number>1</Number><Event><What>filed</What><Date>2020-01-02</Date></Event>"
        f"<Event><What>filed</What><Date>{other}</Date></Event>",
        entry,
    )
    assert ("registrationDate" in record.row) is found
    assert record.derived == (["registrationDate"] if found else [])


@pytest.mark.parametrize(
    ("published", "found"),
    [
        ({"A": "2019-05-01", "B": "2021-02-03"}, "B"),
        ({"B": "2021-02-03", "A": "2019-05-01"}, "B"),
        ({"X": "", "A": "2019-05-01"}, "A"),
        ({"A": "2019-05-01", "B": "2019-05-01"}, "A"),
    ],
)
def test_a_derivation_may_look_at_the_latest_item_first(
    published: dict[str, str], found: str
) -> None:
    elements = {
        "Journal": {"item": "publications"},
        "Journal/Code": {"field": "publications.kindCode"},
        "Journal/Day": {"field": "publications.date"},
    }
    inside = "".join(
        f"<Journal><Code>{code}</Code><Day>{day}</Day></Journal>" for code, day in published.items()
    )
    entry = {"field": "officeStatus", "from": "publications.kindCode", "latest": "date"}
    record = mapped(f"<Number>1</Number>{inside}", elements=elements, derive=[entry])
    assert record.row["officeStatus"] == found


def test_a_path_back_to_the_offices_file_counts_items_as_xpath_does() -> None:
    path = mapping().element_path
    assert path("applicationNumber") == "Mark/Number"
    assert path("applicants[1].names[0].text") is None
    assert path("applicants[1].countryCode") == "Mark/Party[2]/Country"
    assert path("applicants[0].identifier") == "Mark/Party[1]/@id"
    assert path("classifications[2].symbol") == "Mark/Codes/Code[3]"
    assert path("statusEvents[1].date") == path("examinationEvents.date") == "Mark/Event/Date"
    assert path("statusEvents[0]") == "Mark/Event"
    assert path("st13") is None


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"A": {"field": "colour"}}, "no 'colour'"),
        ({"A": {"field": "priorities.number"}}, "no element above opens"),
        ({"A": {"item": "designs"}}, "no 'designs'"),
        ({"A": {"item": "goodsServices.descriptions"}}, "no element above opens"),
        ({"A": {"field": "status", "vocabulary": "moods"}}, "no vocabulary 'moods'"),
    ],
)
def test_an_entry_that_leads_nowhere_does_not_compile(elements: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        mapping(elements=elements)


@pytest.mark.parametrize(
    "entry",
    [
        {"field": "colour", "value": "red"},
        {"field": "officeStatus", "from": "statusEvents.category", "latest": "colour"},
    ],
)
def test_a_derivation_that_leads_nowhere_does_not_compile(entry: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"no .*colour'"):
        mapping(derive=[entry])


IPAS = [office for office in offices() if Right.TRADEMARKS in load_profile(office).rights]


@pytest.mark.parametrize("office", IPAS)
def test_the_same_record_twice_gives_the_same_row(office: str) -> None:
    record = (
        "<TradeMark><ApplicationNumber>1</ApplicationNumber><A/><KindMark>?</KindMark></TradeMark>"
    )
    compiled = mapping_for(office, Right.TRADEMARKS)
    first, second = (compiled.apply(etree.fromstring(record), {}, {}) for _ in range(2))
    assert (first.row, first.issues, first.lines) == (second.row, second.issues, second.lines)


def test_of_a_record_to_be_deleted_only_its_numbers_are_looked_at() -> None:
    inside = (
        "<Number>1</Number><Number>2</Number><Filed>never</Filed><Party><Country>Siam</Country>"
        "<Name>A</Name><Name>B</Name></Party><Event><Date>never</Date></Event>"
    )
    removal = [{"from": "applicationNumber", "words": ["1"]}]
    kept = [issue.field for issue in mapped(inside).issues]
    assert {"applicants[0].countryCode", "applicants[0].names"} <= set(kept)
    deleted = mapped(inside, removal=removal)
    assert deleted.is_removal
    assert [(issue.code, issue.value) for issue in deleted.issues] == [("ALL.CNF.018", "2")]
