"""Files that cannot be read, or hold something else: each ends in a clear state and a message.

One bad file never stops its neighbours, nothing is lost, and receipts add up (``desk.process``
checks every one of them). Bad records in good files are ``test_bad_records``.
"""

import io
import zipfile
from typing import Any

import pytest

from ipregister.deliveries import Kind, Receipt, State
from ipregister.model import Right

FULL, TEST = Kind.FULL_EXTRACTION, Kind.TEST


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
    assert done.receipt == Receipt(recordsRead=1, rejected=1)
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
    assert (done.state, done.receipt) == (State.REJECTED, Receipt(recordsRead=1, rejected=1))
    assert len(desk.served()) == 3


def test_the_good_neighbour_of_many_unreadable_files_is_published(
    mixed: Any, shared_desk: Any
) -> None:
    done, _ = mixed
    bad = len(UNREADABLE)
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    assert done.receipt == Receipt(recordsRead=bad + 1, rejected=bad, accepted=1, inserted=1)
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
    assert done.receipt == Receipt(recordsRead=1, rejected=1)
    assert "before its first element is closed" in finding["message"]
    assert desk.served() == {}


def test_data_beside_the_documents_of_an_archive_is_told_as_not_read(desk: Any, ipas: Any) -> None:
    members = {"a.xml": ipas.marks(ipas.mark()), "b/NEW.CSV": "n,w\n1,A\n", "a.txt": "hello"}
    done = desk.deliver(ipas.zipped(members))
    assert [desk.found(done, f"ALL.PKG.0{n}")["value"] for n in (18, 12)] == ["b/NEW.CSV", "a.txt"]


def test_the_test_lane_tells_everything_and_publishes_nothing(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark()))
    before = desk.served_bytes()
    done = desk.deliver(
        ipas.marks(ipas.mark(word="OTHER"), ipas.mark("KH/2", status="?")), kind=TEST
    )
    assert (done.state, done.reason) == (State.TEST_ONLY, "Dry run: nothing was published.")
    assert done.receipt == Receipt(recordsRead=2, accepted=2, inserted=1, updated=1)
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
    assert (done.state, done.receipt) == (State.REJECTED, Receipt(recordsRead=1, rejected=1))
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
    assert (done.state, done.receipt) == (State.REJECTED, Receipt(recordsRead=1, rejected=1))
    assert f"holds no XML document (*.xml), but {name}" in done.reason


def test_pictures_alone_are_a_quiet_day(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.zipped(PICTURES | {"note.svg": b"<svg/>", "empty.txt": b""}))
    assert (done.state, done.receipt) == (State.PUBLISHED, Receipt())


def test_an_archive_without_records_is_a_quiet_day(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.zipped({}), names=("KH_20261225.zip",))
    assert (done.state, done.receipt) == (State.PUBLISHED, Receipt())
    assert desk.found(done, "ALL.PKG.010")["severity"] == "info"


def test_a_full_extraction_with_a_damaged_file_lets_nothing_vanish(desk: Any, ipas: Any) -> None:
    numbers = [f"KH/9{n:04}/2019" for n in range(30)]
    desk.deliver(ipas.marks(*map(ipas.mark, numbers)), kind=FULL)
    done = desk.deliver(ipas.marks(*map(ipas.mark, numbers[:29])), b"<Transaction>", kind=FULL)
    assert done.state is State.HELD
    assert "1 record could not be read and may be among those that are missing" in done.reason
    assert len(desk.served()) == 30


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
    assert done.receipt == Receipt(recordsRead=2, accepted=1, inserted=1, rejected=1)
    assert desk.found(done, "ALL.PKG.001")["file"] == "part0.zip!KH1.xml"
    assert set(desk.served()) == {"KH2"}
