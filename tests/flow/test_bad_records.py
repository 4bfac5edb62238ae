"""Records that are wrong, in files that can be read: each costs itself at most, and is explained.

Nothing is lost, and receipts add up (``desk.process`` checks every one of them). Files that cannot
be read are ``test_bad_input``.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from ipregister.deliveries import Kind, Receipt, State

FULL, TEST = Kind.FULL_EXTRACTION, Kind.TEST


BAD_RECORDS = {
    "bare ampersand": ("<MarkDescriptionDetails>A & B</MarkDescriptionDetails>", "EntityRef"),
    "control character": ("<FilingPlace>\x1c</FilingPlace>", "invalid"),
    "NUL": ("<FilingPlace>\0</FilingPlace>", ""),
    "never closed": ("<FilingPlace>", "mismatch"),
    "undeclared prefix": ("<x:FilingPlace/>", "prefix"),
    "nested too deep": ("<a>" * 300 + "</a>" * 300, "nested deeper than 256"),
    "text too long": (f"<FilingPlace>{'x' * 10_000_001}</FilingPlace>", ""),
}


@pytest.fixture(scope="module")
def with_bad_records(
    tmp_path_factory: pytest.TempPathFactory, ipas: Any
) -> Iterator[tuple[Any, list[dict[str, Any]], set[str]]]:
    """One delivery: each bad record between two good ones, as a file and in an archive."""
    files = {}
    for place, (case, (bad, _)) in enumerate(BAD_RECORDS.items()):
        for packed in (0, 1):
            numbers = [f"KH/9{place}{packed}{n:02}/2019" for n in (1, 2, 3)]
            records = [ipas.mark(n, more=bad if n == numbers[1] else "") for n in numbers]
            document = ipas.marks(*records)
            name = f"{case}.zip" if packed else f"{case}.xml"
            files[name] = ipas.zipped({"a/b.xml": document}) if packed else document
    desk = ipas.open_desk(tmp_path_factory.mktemp("bad") / "hub")
    done = desk.deliver(*files.values(), names=tuple(files))
    yield done, desk.findings(done), set(desk.served())
    desk.hub.close()


def test_one_bad_record_among_many_costs_only_itself(with_bad_records: Any) -> None:
    done, _, served = with_bad_records
    files = 2 * len(BAD_RECORDS)
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    assert done.receipt == Receipt(
        recordsRead=3 * files, accepted=2 * files, inserted=2 * files, rejected=files
    )
    assert {number[6:8] for number in served} == {"01", "03"}


@pytest.mark.parametrize("case", BAD_RECORDS)
@pytest.mark.parametrize("place", ["{}.xml", "{}.zip!a/b.xml"])
def test_a_bad_record_is_told_with_file_line_and_reason(
    case: str, place: str, with_bad_records: Any
) -> None:
    (finding,) = (
        each
        for each in with_bad_records[1]
        if each["file"] == place.format(case) and each["ruleCode"] == "ALL.PKG.004"
    )
    assert finding["line"] in (5, 6)  # where it begins is line 4; what is never closed shows later
    assert "This record is not well-formed and was left out" in finding["message"]
    assert BAD_RECORDS[case][1] in finding["message"]


def test_what_follows_the_end_of_a_document_is_told_and_costs_nothing(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(ipas.mark()) + "\nsent by the exporter")
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    assert done.receipt == Receipt(recordsRead=1, accepted=1, inserted=1)
    assert desk.found(done, "ALL.PKG.004")["line"] == 5


def test_a_record_of_another_office_is_held_and_the_rest_published(desk: Any, ipas: Any) -> None:
    done = desk.deliver(
        ipas.marks(ipas.mark("KH/90001/2019"), ipas.mark("VN/90002/2019", office="VN"))
    )
    finding = desk.found(done, "ALL.PKG.008")
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    assert done.receipt == Receipt(recordsRead=2, accepted=1, inserted=1, held=1)
    assert (finding["value"], finding["suggestedValue"]) == ("VN", "KH")
    assert (finding["file"], finding["line"]) == ("part0.xml", 4)
    assert set(desk.served()) == {"KH/90001/2019"}


def test_an_offices_own_code_in_small_letters_is_its_own(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(ipas.mark(office="kh")))
    assert done.receipt == Receipt(recordsRead=1, accepted=1, inserted=1)
    (record,) = desk.served().values()
    assert record["officeCode"] == "KH"
    finding = desk.found(done, "ALL.CNF.004")
    assert (finding["value"], finding["suggestedValue"]) == ("kh", "KH")


def test_a_delivery_in_which_every_record_is_another_offices_waits(desk: Any, ipas: Any) -> None:
    held = desk.deliver(ipas.marks(ipas.mark(office="VN"), ipas.mark("VN/2", office="VN")))
    assert held.state is State.HELD
    assert held.reason == (
        "Held: every record names another office than yours. You had 0 records, this delivery "
        "has 2, 0 would disappear. Was this file meant for another folder? Withdraw it and "
        "deliver it there."
    )
    assert held.receipt == Receipt(recordsRead=2, held=2)
    assert desk.served() == {}


def test_an_unknown_status_word_keeps_the_record_and_the_word(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(ipas.mark(status="Schwebend")))
    finding = desk.found(done, "ALL.CNF.006")
    served = desk.served()["KH/90001/2019"]
    assert (served["status"], served["officeStatus"]) == ("unknown", "Schwebend")
    assert (finding["value"], finding["line"]) == ("Schwebend", 3)
    assert finding["elementPath"] == "TradeMark/MarkCurrentStatusCode"
    assert finding["applicationNumber"] == "KH/90001/2019"


def test_an_unknown_element_is_reported_once_with_its_count(desk: Any, ipas: Any) -> None:
    more = "<Colour><Shade>red</Shade></Colour>"
    done = desk.deliver(ipas.marks(*(ipas.mark(f"KH/9000{n}/2019", more=more) for n in (1, 2, 3))))
    finding = desk.found(done, "ALL.PKG.015")
    assert (finding["elementPath"], finding["line"]) == ("Colour", 3)
    assert "3 times" in finding["message"]
    assert done.receipt == Receipt(recordsRead=3, accepted=3, inserted=3)


def test_a_name_between_the_elements_is_reported(desk: Any, ipas: Any) -> None:
    more = "<ApplicantDetails><Applicant>Mekong Tea Co.</Applicant></ApplicantDetails>"
    done = desk.deliver(ipas.marks(ipas.mark(more=more)))
    finding = desk.found(done, "ALL.PKG.015")
    assert (finding["elementPath"], finding["line"]) == ("ApplicantDetails/Applicant/text()", 3)
    assert finding["message"].startswith("The text ApplicantDetails/Applicant/text() is not known")


def test_images_are_found_missing_ambiguous_or_anothers(desk: Any, ipas: Any) -> None:
    def folder(number: str, image: str) -> dict[str, str]:
        return {f"{number}/{number}_biblio.xml": ipas.marks(ipas.mark(number, image=image))}

    done = desk.deliver(
        ipas.zipped(
            folder("KH1", "ATTACHMENT/logo")
            | {"KH1/ATTACHMENT/logo.png": b"\x89PNG\r\n\x1a\n1"}
            | folder("KH2", "ATTACHMENT/logo")  # has none: the neighbour's is not taken
            | folder("KH3", "ATTACHMENT/logo")
            | {"KH3/ATTACHMENT/logo.png": b"3", "KH3/ATTACHMENT/logo.gif": b"3"}  # which?
            | folder("KH4", "logo.jpg")  # of that name there is one, in the folder of KH5
            | folder("KH5", "")
            | {"KH5/logo.jpg": b"\xff\xd8\xff5"}
            | folder("KH6", "shared/Emblem.JPG")
            | {"images/emblem.jpg": b"\xff\xd8\xff6"}
        )
    )
    found = {
        number: record["images"][0].get("memberPath") for number, record in desk.served().items()
        if "images" in record
    }  # fmt: skip
    assert found == {
        "KH1": "KH1/ATTACHMENT/logo.png",
        "KH2": None,
        "KH3": None,
        "KH4": None,
        "KH6": "images/emblem.jpg",
    }
    codes = {(f["ruleCode"], f["file"]) for f in desk.findings(done) if "PKG.01" in f["ruleCode"]}
    assert codes == {
        ("ALL.PKG.011", "part0.zip!KH2/KH2_biblio.xml"),
        ("ALL.PKG.011", "part0.zip!KH3/KH3_biblio.xml"),
        ("ALL.PKG.011", "part0.zip!KH4/KH4_biblio.xml"),
        ("ALL.PKG.012", "part0.zip!KH3/ATTACHMENT/logo.png"),
        ("ALL.PKG.012", "part0.zip!KH3/ATTACHMENT/logo.gif"),
        ("ALL.PKG.012", "part0.zip!KH5/logo.jpg"),
    }


def test_a_record_without_a_number_is_rejected_with_its_place(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(ipas.mark("KH/90001/2019"), ipas.mark("")))
    finding = desk.found(done, "ALL.CMP.001")
    assert done.receipt == Receipt(recordsRead=2, accepted=1, inserted=1, rejected=1)
    assert (finding["file"], finding["line"]) == ("part0.xml", 4)


TWICE = ("KH/90001/2019", "ONE"), ("KH/90002/2019", "TWO"), ("KH/90001/2019", "OTHER")


def test_a_number_with_two_contents_is_held_in_a_full_extraction(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(*(ipas.mark(*each) for each in TWICE)), kind=FULL)
    twice = [each for each in desk.findings(done) if each["ruleCode"] == "ALL.UNQ.001"]
    assert [each["line"] for each in twice] == [2, 6], "both places are named"
    assert {each["elementPath"] for each in twice} == {"TradeMark"}, "which begin there"
    assert done.receipt == Receipt(recordsRead=3, accepted=1, inserted=1, held=1, duplicates=1)
    assert set(desk.served()) == {"KH/90002/2019"}


def test_the_last_of_a_number_counts_in_an_update(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(*(ipas.mark(*each) for each in TWICE)))
    told = [each["line"] for each in desk.findings(done) if each["ruleCode"] == "ALL.UNQ.006"]
    assert told == [2, 6]
    assert done.receipt == Receipt(recordsRead=3, accepted=2, inserted=2, duplicates=1)
    words = desk.served()["KH/90001/2019"]["markVerbalElements"]
    assert [word["text"] for word in words] == ["OTHER"]


HUGE = "9" * 5_000


ODD_VALUES = (
    f"<TotalMarkSeries>{HUGE}</TotalMarkSeries>",
    "<TotalMarkSeries>99999999999999999999</TotalMarkSeries>",
    "<TotalMarkSeries>٣</TotalMarkSeries>",
    f"<PriorityDetails><Priority><PriorityNumber>{HUGE}</PriorityNumber></Priority>"
    "</PriorityDetails>",
    "<PublicationDetails><Publication><PublicationDate>0000-00-00</PublicationDate>"
    "</Publication></PublicationDetails>",
    "<MarkImageDetails/><ApplicationNumber>KH/OTHER</ApplicationNumber>",
    "<ExpiryDate>+2019-05-02</ExpiryDate>",
    "<ExpiryDate>9999-12-31T25:99:99Z</ExpiryDate>",
    "<FilingPlace>\ud7ff\ue000\ufffd\U0010ffff\u202e\u200b</FilingPlace>",
    f"<FilingPlace>{'ก' * 1_000_000}</FilingPlace>",
)


def test_no_value_can_stop_a_delivery(desk: Any, ipas: Any) -> None:
    numbers = [f"KH/9000{n}/2019" for n in range(len(ODD_VALUES))]
    records = [ipas.mark(n, more=more) for n, more in zip(numbers, ODD_VALUES, strict=True)]
    done = desk.deliver(ipas.marks(*records))
    read = len(ODD_VALUES)
    assert done.receipt == Receipt(recordsRead=read, accepted=read, inserted=read)
    served = desk.served()
    assert set(served) == set(numbers)
    assert served[numbers[8]]["filingPlace"] == "\ud7ff\ue000\ufffd\U0010ffff\u202e\u200b"
    assert all("seriesCount" not in served[number] for number in numbers)
    unread = [f["value"] for f in desk.findings(done) if f["ruleCode"] == "ALL.CNF.013"]
    assert sorted(unread) == sorted([HUGE[:200], "99999999999999999999", "٣"])


def test_an_office_may_write_in_its_own_encoding(desk: Any, ipas: Any) -> None:
    encodings = {
        "utf-8-sig": "utf-8", "utf-16": "utf-16", "utf-16-be": "utf-16", "cp874": "windows-874",
    }  # fmt: skip
    files = []
    for number, (encoding, declared) in enumerate(encodings.items()):
        document = f'<?xml version="1.0" encoding="{declared}"?>' + ipas.marks(
            ipas.mark(f"TH{number}", "ข้าวหอม", office="TH"),
            ipas.mark(f"THX{number}", "A & B", office="TH"),
        )
        files.append(document.encode(encoding))
    done = desk.deliver(*files, office="TH")
    assert done.receipt == Receipt(recordsRead=8, accepted=4, inserted=4, rejected=4)
    words = [each["markVerbalElements"][0]["text"] for each in desk.served("TH").values()]
    assert words == ["ข้าวหอม"] * 4
