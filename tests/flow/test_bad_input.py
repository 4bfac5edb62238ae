"""Bad input: each case ends in a clear state and a message the office can act on.

One bad file, document or record never stops its neighbours, nothing is lost, and receipts
add up (``desk.process`` checks every one of them).
"""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from ipregister.deliveries import Kind, Receipt, State
from ipregister.model import Right

FULL, TEST = Kind.FULL_EXTRACTION, Kind.TEST


def receipt(**counts: int) -> Receipt:
    return Receipt(**counts)


def encrypted(ipas: Any, document: str) -> bytes:
    data = bytearray(ipas.zipped({"KH90001/KH90001_biblio.xml": document}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def overlapping(ipas: Any) -> bytes:
    """Return an archive whose directory names the same bytes twice."""
    data = ipas.zipped({"a.xml": ipas.marks(ipas.mark())})
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[start:end]
    tail = bytearray(data[end:])
    tail[8:12] = b"\x02\0\x02\0"
    tail[12:16] = (2 * len(entry)).to_bytes(4, "little")
    return data[:end] + entry.replace(b"a.xml", b"b.xml") + bytes(tail)


def half(data: bytes | str) -> bytes:
    content = data.encode() if isinstance(data, str) else data
    return content[: len(content) // 2]


UNREADABLE = {
    "empty": (lambda ipas: b"", "ALL.PKG.017", "empty (0 bytes)"),
    "not XML": (lambda ipas: b"Dear hub, see attached.", "ALL.PKG.001", "Neither XML nor ZIP"),
    "RAR": (lambda ipas: b"Rar!\x1a\x07\x00", "ALL.PKG.001", "a RAR archive"),
    "ampersand in the envelope": (
        lambda ipas: "<Transaction>\nA & B</Transaction>", "ALL.PKG.004", "xmlParseEntityRef",
    ),
    "half an XML file": (
        lambda ipas: half(ipas.marks(ipas.mark())),
        "ALL.PKG.016", "before its first element is closed",
    ),
    "half a ZIP": (
        lambda ipas: half(ipas.zipped({"a.xml": ipas.marks(ipas.mark())})),
        "ALL.PKG.016", "ends before its end record",
    ),
    "encrypted": (
        lambda ipas: encrypted(ipas, ipas.marks(ipas.mark())), "ALL.PKG.001", "password",
    ),
    "overlapping members": (overlapping, "ALL.PKG.002", "overlaps another member"),
    "internal subset": (
        lambda ipas: "<!DOCTYPE T [<!ENTITY a 'b'>]>\n" + ipas.marks(ipas.mark()),
        "ALL.PKG.005", "internal subset",
    ),
    "unknown root": (
        lambda ipas: "<Brands>\n<Brand/></Brands>", "ALL.PKG.019", "the root element is Brands",
    ),
    "another right": (
        lambda ipas: '<d:X xmlns:d="http://www.wipo.int/standards/XMLSchema/ST96/Design"/>',
        "ALL.PKG.009", "The file holds designs; the folder is for trademarks",
    ),
    "deep nesting": (
        lambda ipas: "<a>" * 5_000 + "</a>" * 5_000, "ALL.PKG.002", "nested deeper than 256",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ["empty", "half a ZIP", "another right", "deep nesting"])
def test_a_file_nobody_can_read_is_rejected_and_explained(
    case: str, shared_desk: Any, ipas: Any
) -> None:
    make, code, words = UNREADABLE[case]
    done = shared_desk.deliver(make(ipas), office="LA", names=("LA_20261122.dat",))
    finding = shared_desk.found(done, code)
    assert done.state is State.REJECTED
    assert done.receipt == receipt(recordsRead=1, rejected=1)
    assert finding["file"] == "LA_20261122.dat"
    assert words in finding["message"]
    assert done.reason
    assert shared_desk.served_bytes("LA") == {}


@pytest.fixture(scope="module")
def mixed(shared_desk: Any, ipas: Any) -> tuple[Any, list[dict[str, Any]]]:
    """One delivery of every unreadable file and one good one."""
    files = [make(ipas) for make, _, _ in UNREADABLE.values()]
    good = ipas.marks(ipas.mark("KH/90009/2019"))
    done = shared_desk.deliver(*files, good, names=(*UNREADABLE, "good.xml"))
    return done, shared_desk.findings(done)


def test_a_rejected_full_extraction_makes_nothing_disappear(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(*(ipas.mark(f"KH/9000{n}/2019") for n in range(3))), kind=FULL)
    done = desk.deliver(ipas.marks(ipas.mark("")), kind=FULL)
    assert (done.state, done.receipt) == (State.REJECTED, receipt(recordsRead=1, rejected=1))
    assert len(desk.served()) == 3


def test_the_good_neighbour_of_many_unreadable_files_is_published(
    mixed: Any, shared_desk: Any
) -> None:
    done, _ = mixed
    bad = len(UNREADABLE)
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    assert done.receipt == receipt(recordsRead=bad + 1, rejected=bad, accepted=1, inserted=1)
    assert "KH/90009/2019" in shared_desk.served()


@pytest.mark.parametrize("case", UNREADABLE)
def test_every_unreadable_file_has_its_own_finding(case: str, mixed: Any) -> None:
    _, code, words = UNREADABLE[case]
    (finding,) = (each for each in mixed[1] if each["file"] == case)
    assert finding["ruleCode"] == code
    assert words in finding["message"]
    assert finding["remedy"].endswith(".")


def test_nothing_of_a_half_written_file_is_applied(desk: Any, ipas: Any) -> None:
    whole = ipas.marks(ipas.mark("KH/90001/2019"), ipas.mark("KH/90002/2019"))
    done = desk.deliver(whole[: whole.rindex("<wo:MarkVerbal")])
    finding = desk.found(done, "ALL.PKG.016")
    assert done.state is State.REJECTED
    assert done.receipt == receipt(recordsRead=1, rejected=1)
    assert "before its first element is closed" in finding["message"]
    assert desk.served() == {}


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
    assert done.receipt == receipt(
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
    assert done.receipt == receipt(recordsRead=1, accepted=1, inserted=1)
    assert desk.found(done, "ALL.PKG.004")["line"] == 5


def test_a_record_of_another_office_is_held_and_the_rest_published(desk: Any, ipas: Any) -> None:
    done = desk.deliver(
        ipas.marks(ipas.mark("KH/90001/2019"), ipas.mark("VN/90002/2019", office="VN"))
    )
    finding = desk.found(done, "ALL.PKG.008")
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    assert done.receipt == receipt(recordsRead=2, accepted=1, inserted=1, held=1)
    assert (finding["value"], finding["suggestedValue"]) == ("VN", "KH")
    assert (finding["file"], finding["line"]) == ("part0.xml", 4)
    assert set(desk.served()) == {"KH/90001/2019"}


def test_an_offices_own_code_in_small_letters_is_its_own(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(ipas.mark(office="kh")))
    assert done.receipt == receipt(recordsRead=1, accepted=1, inserted=1)
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
    assert held.receipt == receipt(recordsRead=2, held=2)
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
    assert done.receipt == receipt(recordsRead=3, accepted=3, inserted=3)


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


def test_data_beside_the_documents_of_an_archive_is_told_as_not_read(desk: Any, ipas: Any) -> None:
    members = {"a.xml": ipas.marks(ipas.mark()), "b/NEW.CSV": "n,w\n1,A\n", "a.txt": "hello"}
    done = desk.deliver(ipas.zipped(members))
    assert [desk.found(done, f"ALL.PKG.0{n}")["value"] for n in (18, 12)] == ["b/NEW.CSV", "a.txt"]


def test_a_record_without_a_number_is_rejected_with_its_place(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(ipas.mark("KH/90001/2019"), ipas.mark("")))
    finding = desk.found(done, "ALL.CMP.001")
    assert done.receipt == receipt(recordsRead=2, accepted=1, inserted=1, rejected=1)
    assert (finding["file"], finding["line"]) == ("part0.xml", 4)


TWICE = ("KH/90001/2019", "ONE"), ("KH/90002/2019", "TWO"), ("KH/90001/2019", "OTHER")


def test_a_number_with_two_contents_is_held_in_a_full_extraction(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(*(ipas.mark(*each) for each in TWICE)), kind=FULL)
    twice = [each for each in desk.findings(done) if each["ruleCode"] == "ALL.UNQ.001"]
    assert [each["line"] for each in twice] == [2, 6], "both places are named"
    assert {each["elementPath"] for each in twice} == {"TradeMark/ApplicationNumber"}
    assert done.receipt == receipt(recordsRead=3, accepted=1, inserted=1, held=1, duplicates=1)
    assert set(desk.served()) == {"KH/90002/2019"}


def test_the_last_of_a_number_counts_in_an_update(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(*(ipas.mark(*each) for each in TWICE)))
    told = [each["line"] for each in desk.findings(done) if each["ruleCode"] == "ALL.UNQ.006"]
    assert told == [2, 6]
    assert done.receipt == receipt(recordsRead=3, accepted=2, inserted=2, duplicates=1)
    words = desk.served()["KH/90001/2019"]["markVerbalElements"]
    assert [word["text"] for word in words] == ["OTHER"]


def test_the_test_lane_tells_everything_and_publishes_nothing(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark()))
    before = desk.served_bytes()
    done = desk.deliver(
        ipas.marks(ipas.mark(word="OTHER"), ipas.mark("KH/2", status="?")), kind=TEST
    )
    assert (done.state, done.reason) == (State.TEST_ONLY, "Dry run: nothing was published.")
    assert done.receipt == receipt(recordsRead=2, accepted=2, inserted=1, updated=1)
    assert desk.found(done, "ALL.CNF.006")["value"] == "?"
    assert desk.served_bytes() == before
    assert desk.deliver(ipas.marks(ipas.mark(word="OTHER"))).receipt.updated == 1


WIPO = "http://www.wipo.int/standards/XMLSchema"
OTHER_STANDARDS = {
    "ST.96": (
        Right.TRADEMARKS,
        f'<TrademarkApplication xmlns="{WIPO}/ST96/Trademark" xmlns:com="{WIPO}/ST96/Common">'
        "<TrademarkBag><Trademark><com:ApplicationNumber><com:ApplicationNumberText>KH/1/2019"
        "</com:ApplicationNumberText></com:ApplicationNumber></Trademark></TrademarkBag>"
        "</TrademarkApplication>",
    ),
    "ST.86": (
        Right.DESIGNS,
        f'<Transaction xmlns="{WIPO}/designs"><DesignTransactionBody><TransactionData>'
        "<DesignApplicationDetails><Application><DesignApplicationNumber>KH/D/1/2019"
        "</DesignApplicationNumber></Application></DesignApplicationDetails></TransactionData>"
        "</DesignTransactionBody></Transaction>",
    ),
    "ST.36": (
        Right.PATENTS,
        "<ep-patent-document><SDOBI><B200><doc-number>1100130</doc-number></B200></SDOBI>"
        "</ep-patent-document>",
    ),
}


@pytest.mark.parametrize("standard", OTHER_STANDARDS)
def test_records_of_another_standard_are_no_quiet_day(standard: str, shared_desk: Any) -> None:
    right, document = OTHER_STANDARDS[standard]
    done = shared_desk.deliver(document, right=right, office="TH")
    assert (done.state, done.receipt) == (State.REJECTED, receipt(recordsRead=1, rejected=1))
    assert "No record found: the root element is" in done.reason


PICTURES = {"logo.png": b"\x89PNG\r\n\x1a\n", "sound.mp3": b"\xff\xfb\x90\0\0"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("records.csv", b"applicationNumber,mark\nKH/1/2019,LUMATIVA\n"),
        ("KH90001_biblio", b'<?xml version="1.0"?><Transaction/>'),
        ("records.xlsx", b"PK\x03\x04\0\0\0\0"),
    ],
)
def test_an_archive_of_something_else_is_no_quiet_day(
    name: str, content: bytes, shared_desk: Any, ipas: Any
) -> None:
    done = shared_desk.deliver(ipas.zipped(PICTURES | {name: content}), office="VN")
    assert (done.state, done.receipt) == (State.REJECTED, receipt(recordsRead=1, rejected=1))
    assert f"holds no XML document (*.xml), but {name}" in done.reason


def test_pictures_alone_are_a_quiet_day(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.zipped(PICTURES | {"note.svg": b"<svg/>", "empty.txt": b""}))
    assert (done.state, done.receipt) == (State.PUBLISHED, receipt())


def test_an_archive_without_records_is_a_quiet_day(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.zipped({}), names=("KH_20261225.zip",))
    assert (done.state, done.receipt) == (State.PUBLISHED, receipt())
    assert desk.found(done, "ALL.PKG.010")["severity"] == "info"


def test_a_full_extraction_with_a_damaged_file_lets_nothing_vanish(desk: Any, ipas: Any) -> None:
    numbers = [f"KH/9{n:04}/2019" for n in range(30)]
    desk.deliver(ipas.marks(*map(ipas.mark, numbers)), kind=FULL)
    done = desk.deliver(ipas.marks(*map(ipas.mark, numbers[:29])), b"<Transaction>", kind=FULL)
    assert done.state is State.HELD
    assert "1 record could not be read and may be among those that are missing" in done.reason
    assert len(desk.served()) == 30


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
    assert done.receipt == receipt(recordsRead=read, accepted=read, inserted=read)
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
    assert done.receipt == receipt(recordsRead=8, accepted=4, inserted=4, rejected=4)
    words = [each["markVerbalElements"][0]["text"] for each in desk.served("TH").values()]
    assert words == ["ข้าวหอม"] * 4


def test_the_wrong_right_inside_an_archive_is_named(desk: Any, ipas: Any) -> None:
    other = ipas.marks(ipas.mark("KH/90001/2019"))
    done = desk.deliver(ipas.zipped({"KH1/KH1_biblio.xml": other}), right=Right.DESIGNS)
    finding = desk.found(done, "ALL.PKG.009")
    assert done.state is State.REJECTED
    assert finding["file"] == "part0.zip!KH1/KH1_biblio.xml"
    assert finding["message"] == "The file holds trademarks; the folder is for designs."


def test_a_damaged_member_costs_only_itself(desk: Any, ipas: Any) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for number in ("KH1", "KH2"):
            archive.writestr(f"{number}.xml", ipas.marks(ipas.mark(number)))
    data = sink.getvalue().replace(b"rice and noodles", b"RICE AND NOODLES", 1)
    done = desk.deliver(data)
    assert done.receipt == receipt(recordsRead=2, accepted=1, inserted=1, rejected=1)
    assert desk.found(done, "ALL.PKG.001")["file"] == "part0.zip!KH1.xml"
    assert set(desk.served()) == {"KH2"}
