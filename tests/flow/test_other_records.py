"""Records under another name or in another file: told, counted, and not taken for gone."""

from typing import Any

import pytest

from ipregister.deliveries import Kind, Receipt, State


def test_a_record_under_another_name_is_told_and_does_not_vanish(desk: Any, ipas: Any) -> None:
    numbers = [f"KH/{number}/2019" for number in range(90_001, 90_101)]
    marks = [ipas.mark(number) for number in numbers]
    desk.deliver(ipas.marks(*marks), kind=Kind.FULL_EXTRACTION)
    marks[5] = marks[5].replace("TradeMark>", "Trademark>")
    done = desk.deliver(ipas.marks(*marks), kind=Kind.FULL_EXTRACTION)
    assert done.receipt == Receipt(recordsRead=100, rejected=1, unchanged=99)
    assert done.state is State.HELD
    assert list(desk.served()) == numbers
    finding = desk.found(done, "ALL.PKG.019")
    assert (finding["applicationNumber"], finding["value"]) == (numbers[5], "Trademark")
    assert "is no record here" in finding["message"]


@pytest.mark.parametrize("aside", ["<!-- ours -->", "<?ours?>"])
def test_a_number_behind_a_comment_is_one(aside: str, desk: Any, ipas: Any) -> None:
    marks = ipas.marks(ipas.mark()).replace("TradeMark>", "Trademark>")
    marks = marks.replace("<ApplicationNumber>", f"<ApplicationNumber>{aside}")
    done = desk.deliver(marks)
    assert desk.found(done, "ALL.PKG.019")["value"]


@pytest.mark.parametrize(
    "name", ["KH2.xml.gz", "new/KH2.XML.txt", "20261122.xml.rar", "KH2.xml.bak", "more.7z"]
)
def test_packed_and_renamed_records_are_no_images(name: str, desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.zipped({"a.xml": ipas.marks(ipas.mark()), name: "\x1f\x8b"}))
    assert desk.found(done, "ALL.PKG.018")["value"] == name


@pytest.mark.parametrize("name", ["KH2", "new/KH2.xml_1", "KH2.txt", "KH2.xml~"])
def test_a_document_under_a_name_without_xml_is_told(name: str, desk: Any, ipas: Any) -> None:
    other = ipas.marks(ipas.mark("KH/90002/2019"))
    packed = {"a.xml": ipas.marks(ipas.mark()), name: other, "logo.svg": "<svg/>", "note": "<p>"}
    done = desk.deliver(ipas.zipped(packed))
    assert desk.found(done, "ALL.PKG.018")["message"] == (
        f"{name} holds trademarks, but its name does not end in .xml: it was not read."
    )
    unused = {each["value"] for each in desk.findings(done) if each["ruleCode"] == "ALL.PKG.012"}
    assert unused == {"logo.svg", "note"}


@pytest.mark.parametrize(
    ("more", "kept"),
    [("", "NWAP"), ("<OfficeSpecificMarkEventCode>07</OfficeSpecificMarkEventCode>", "07")],
)
def test_an_event_of_an_unknown_kind_is_kept_with_the_offices_own_word(
    more: str, kept: str, desk: Any, ipas: Any
) -> None:
    events = "".join(
        f"<MarkEvent><MarkEventDate>2019-06-0{day}</MarkEventDate>"
        f"<MarkEventCode>{word}</MarkEventCode>{more if word == 'NWAP' else ''}</MarkEvent>"
        for day, word in ((1, "Filed"), (2, "NWAP"), (3, "-"))
    )
    record = ipas.mark(more=f"<MarkEventDetails>{events}</MarkEventDetails>")
    done = desk.deliver(ipas.marks(record))
    assert desk.found(done, "ALL.CNF.007")["value"] == "NWAP"
    (served,) = desk.served().values()
    assert served["statusEvents"] == [{"date": "2019-06-01", "category": "filed"}]
    assert served["examinationEvents"] == [
        {"date": "2019-06-02", "category": "unknown", "officeCode": kept},
        {"date": "2019-06-03"},
    ]


def test_a_record_with_a_thousand_faults_does_not_stop_its_delivery(desk: Any, ipas: Any) -> None:
    name = "<FreeFormatName><FreeFormatNameDetails><FreeFormatNameLine>{}</FreeFormatNameLine>"
    person = (
        f"<Applicant><ApplicantAddressBook><FormattedNameAddress><Name>{name}"
        "</FreeFormatNameDetails></FreeFormatName></Name></FormattedNameAddress>"
        "</ApplicantAddressBook></Applicant>\n"
    )
    persons = "".join(map(person.format, range(1_500)))
    record = ipas.mark(more=f"<ApplicantDetails>{persons}</ApplicantDetails>")
    done = desk.deliver(ipas.marks(record, ipas.mark("KH/90002/2019")))
    assert done.receipt.inserted == 2
    found = [each for each in desk.findings(done) if each["ruleCode"] == "ALL.CMP.006"]
    assert len({each["field"] for each in found}) == 1_500


def test_what_stands_beside_the_records_is_told_once(desk: Any, ipas: Any) -> None:
    legal = "<ApplicantLegalEntity>Ltd</ApplicantLegalEntity>"
    beside = f"<ApplicantDetails><Applicant>{legal}</Applicant></ApplicantDetails>"
    numbers = ("KH/90001/2019", "KH/90002/2019")
    document = ipas.marks(*(ipas.mark(number) + beside for number in numbers))
    done = desk.deliver(document)
    assert done.receipt.inserted == 2
    finding = desk.found(done, "ALL.PKG.015")
    assert finding["value"].endswith("/ApplicantDetails")
    assert finding["message"].endswith("/ApplicantDetails is not known; it occurs 2 times.")
