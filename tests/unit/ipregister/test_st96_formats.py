"""ST.96 publications and design applications become the canonical rows they should."""

from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from ipregister.mapping import Mapped, mapping_for
from ipregister.model import Right

FIXTURES = Path(__file__).parents[2] / "fixtures"


def mapped(path: str) -> tuple[list[Mapped], dict]:
    """Return the records of one fixture and the elements its format does not know."""
    office, right = path.split("/")[:2]
    mapping = mapping_for(office.upper(), Right(right))
    root = etree.parse(FIXTURES / path).getroot()
    unknown: dict = {}
    return [
        mapping.apply(e, {}, unknown) for e in root.iter(f"{{*}}{mapping.format.record}")
    ], unknown


def test_a_granted_patent() -> None:
    [patent], unknown = mapped("th/patents/single.xml")
    row = patent.row
    assert (patent.issues, unknown) == ([], {})
    assert row["officeCode"] == "TH"
    assert row["applicationNumber"] == "1801090001"
    assert row["applicationDate"] == date(2018, 3, 2)
    assert (row["officeStatus"], row["status"], row["statusGroup"]) == (
        "Granted",
        "registered",
        "registered",
    )
    assert row["statusDate"] == row["registrationDate"]
    assert (row["rightKind"], row["kindCode"], row["filingRoute"]) == ("patent", "B", "national")
    assert [title["languageCode"] for title in row["titles"]] == ["th", "en"]
    assert {(c["scheme"], len(c["symbol"].split())) for c in row["classifications"]} == {("ipc", 2)}
    assert [p["kindCode"] for p in row["publications"]] == ["A"]
    assert [name["languageCode"] for name in row["applicants"][0]["names"]] == ["th", "en"]
    assert row["applicants"][0]["countryCode"] == "TH"
    assert len(row["applicants"][0]["addressLines"]) == 1
    assert row["inventors"][0]["names"]
    assert row["claimsCount"] >= 3
    assert row["abstracts"][0]["text"].endswith(".")
    assert sorted(event["category"] for event in row["statusEvents"]) == [
        "filed",
        "published",
        "registered",
    ]


def test_many_publications_in_one_file() -> None:
    patents, unknown = mapped("vn/patents/full_2026-09.xml")
    assert unknown == {}
    assert [p.row["applicationNumber"] for p in patents] == [
        "1-2018-90001",
        "1-2018-90002",
        "2-2018-90003",
        "1-2018-90004",
    ]
    assert [p.row["rightKind"] for p in patents] == ["patent", "patent", "utility_model", "patent"]


def test_a_patent_by_the_pct() -> None:
    patents, _ = mapped("vn/patents/full_2026-09.xml")
    row = patents[3].row
    assert row["filingRoute"] == "pct"
    assert row["internationalRegistrationNumber"] == row["pct"]["applicationNumber"]
    assert row["pct"]["publicationNumber"].startswith("WO")
    assert row["pct"]["applicationDate"] < row["pct"]["publicationDate"] < row["applicationDate"]
    assert row["priorities"] == [
        {"countryCode": "JP", "number": "2015-90004", "date": date(2015, 9, 17)}
    ]


def test_an_unknown_status_of_a_publication_is_kept_and_reported() -> None:
    element = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    name = "{http://www.wipo.int/standards/XMLSchema/ST96/Common}documentStatusText"
    element.set(name, "Sleeping")
    patent = mapping_for("TH", Right.PATENTS).apply(element, {}, {})
    assert (patent.row["officeStatus"], patent.row["status"]) == ("Sleeping", "unknown")
    assert [(issue.code, issue.value) for issue in patent.issues] == [("ALL.CNF.006", "Sleeping")]


def test_a_registered_design() -> None:
    [design], unknown = mapped("vn/designs/single.xml")
    row = design.row
    assert (design.issues, unknown) == ([], {})
    assert (row["applicationNumber"], row["status"]) == ("3-2021-90001", "registered")
    assert (row["registrationNumber"], row["rightKind"]) == ("VN90001D", "design")
    assert row["expiryDate"] == date(2036, 2, 2)
    [inner] = row["designs"]
    assert inner["registrationNumber"] == row["registrationNumber"]
    assert inner["classifications"][0]["scheme"] == "locarno"
    assert inner["classifications"][0]["edition"] == "14"
    assert [view["fileName"] for view in inner["views"]][:1] == ["ATTACHMENT/view_1_1.png"]
    assert [event["category"] for event in row["statusEvents"]] == ["registered", "filed"]
    assert (len(row["applicants"]), len(row["designers"])) == (1, 1)


def test_an_application_with_two_designs() -> None:
    designs, unknown = mapped("kh/designs/full_2026-09.xml")
    assert unknown == {}
    assert [(d.row["designTotal"], len(d.row["designs"])) for d in designs] == [
        (1, 1),
        (1, 1),
        (2, 2),
    ]
    assert [design["identifier"] for design in designs[2].row["designs"]] == ["1", "2"]
    assert len(designs[2].row["publications"]) == 1
    assert all(design.issues == [] for design in designs)


COMMON, DESIGN = (
    f"{{http://www.wipo.int/standards/XMLSchema/ST96/{n}}}" for n in ("Common", "Design")
)


@pytest.mark.parametrize(
    ("said", "is_named"),
    [("true", False), ("1", False), ("perhaps", False), ("false", True), (" 0 ", True), ("", True)],
)
@pytest.mark.parametrize(
    ("path", "indicator", "beside"),
    [
        ("vn/designs/single.xml", f"{COMMON}ConfidentialIndicator", "Contact"),
        ("vn/designs/single.xml", f"{DESIGN}DesignerWaiverIndicator", "DesignerBag"),
        ("th/patents/single.xml", f"{COMMON}ConfidentialIndicator", "Contact"),
    ],
)
def test_who_is_not_open_for_publication_is_not_read(
    path: str, indicator: str, beside: str, said: str, is_named: bool
) -> None:
    role, person = ("designers", "Designer") if "designs" in path else ("inventors", "Inventor")
    root = etree.parse(FIXTURES / path).getroot()
    for element in root.iter(f"{{*}}{person}" if beside == "Contact" else "{*}Design"):
        etree.SubElement(element, indicator).text = said
    office, right = path.split("/")[:2]
    record = next(root.iter(f"{{*}}{mapping_for(office.upper(), Right(right)).format.record}"))
    unknown: dict = {}
    mapped = mapping_for(office.upper(), Right(right)).apply(record, {}, unknown)
    assert ((role in mapped.row), unknown) == (is_named, {})


@pytest.mark.parametrize(
    ("attribute", "is_named"),
    [("value", False), ("{http://www.w3.org/2001/XMLSchema-instance}nil", True), ("id", True)],
)
def test_an_indicator_that_says_it_elsewhere_is_not_taken_for_a_no(
    attribute: str, is_named: bool
) -> None:
    root = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    for person in root.iter("{*}Inventor"):
        etree.SubElement(person, f"{COMMON}ConfidentialIndicator").set(attribute, "true")
    row = mapping_for("TH", Right.PATENTS).apply(root, {}, {}).row
    assert ("inventors" in row) == is_named


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("Revoked", date(2023, 5, 2)),
        ("Deemed withdrawn", date(2019, 1, 5)),
        ("Surrendered", None),
    ],
)
def test_a_status_has_the_date_of_the_event_that_brought_it(said: str, day: date | None) -> None:
    root = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    root.set(next(name for name in root.attrib if name.endswith("documentStatusText")), said)
    bibliographic = next(root.iter("{*}BibliographicData"))
    for name, text in (
        ("ApplicationDeemedWithdrawn", "2019-01-05"),
        ("PatentRevocation", "2023-05-02"),
    ):
        etree.SubElement(bibliographic, f"{name}Date").text = text
    assert mapping_for("TH", Right.PATENTS).apply(root, {}, {}).row.get("statusDate") == day


def test_one_confidential_designer_of_two_is_not_read() -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    bag = next(root.iter("{*}DesignerBag"))
    secret = etree.fromstring(etree.tostring(bag[0]))
    next(secret.iter("{*}PersonFullName")).text = "Nobody Named"
    etree.SubElement(secret, f"{COMMON}ConfidentialIndicator").text = "true"
    before = mapping_for("VN", Right.DESIGNS).apply(root, {}, {}).row
    bag.insert(0, secret)
    assert mapping_for("VN", Right.DESIGNS).apply(root, {}, {}).row == before


@pytest.mark.parametrize(
    ("path", "role", "person"),
    [
        ("vn/designs/single.xml", "applicants", "{*}ApplicantBag/{*}Applicant"),
        ("vn/designs/single.xml", "designers", ".//{*}Designer"),
        ("th/patents/single.xml", "applicants", ".//{*}Applicant"),
        ("th/patents/single.xml", "inventors", ".//{*}Inventor"),
    ],
)
def test_a_contact_for_publication_stands_instead_of_the_full_one(
    path: str, role: str, person: str
) -> None:
    office, right = path.split("/")[:2]
    mapping = mapping_for(office.upper(), Right(right))
    root = etree.parse(FIXTURES / path).getroot()
    [first, *_] = root.iterfind(person)
    full = next(first.iter("{*}Contact"))
    address = next(full.iter("{*}PostalStructuredAddress"))
    etree.SubElement(address, f"{COMMON}AddressLineText").text = "12 Hidden Lane"
    assert "12 Hidden Lane" in mapping.apply(root, {}, {}).row[role][0]["addressLines"]
    limited = etree.SubElement(first, f"{COMMON}PublicationContact")
    limited.append(etree.fromstring(etree.tostring(next(full.iter("{*}Name")))))
    etree.SubElement(limited, f"{COMMON}CityName").text = "Elsewhere"
    unknown: dict = {}
    party = mapping.apply(root, {}, unknown).row[role][0]
    assert (party["cityName"], "addressLines" in party, unknown) == ("Elsewhere", False, {})
    assert party["names"]


def classified(inside: str) -> Mapped:
    """Return a patent of Thailand with the classifications of one bag alone."""
    root = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    bag = next(root.iter("{*}PatentClassificationBag"))
    parsed = etree.fromstring(
        f"<Bag xmlns='http://www.wipo.int/standards/XMLSchema/ST96/Patent'>{inside}</Bag>"
    )
    bag[:] = parsed[:]
    unknown: dict = {}
    patent = mapping_for("TH", Right.PATENTS).apply(root, {}, unknown)
    assert unknown == {}
    return patent


IPC_PARTS = "<Section>G</Section><Class>06</Class><Subclass>K</Subclass>"


def test_a_symbol_may_come_in_parts() -> None:
    told = "<ClassificationVersionDate>20060101</ClassificationVersionDate>"
    group = "<MainGroup>9</MainGroup><Subgroup>00</Subgroup>"
    ipc = f"<IPCRClassification>{told}{IPC_PARTS}{group}</IPCRClassification>"
    cpc = ipc.replace("IPCR", "CPC").replace("Section>", "CPCSection>")
    patent = classified(
        f"<IPCRClassificationBag>{ipc}</IPCRClassificationBag>"
        f"<CPCClassificationBag><MainCPC>{cpc}</MainCPC><FurtherCPC>{cpc}</FurtherCPC></CPCClassificationBag>"
    )
    read = {"symbol": "G06K 9/00", "versionDate": date(2006, 1, 1)}
    assert patent.row["classifications"] == [
        {"scheme": scheme} | read for scheme in ("ipc", "cpc", "cpc")
    ]
    assert patent.issues == []


def test_a_symbol_in_parts_without_its_groups_is_reported() -> None:
    ipc = f"<IPCRClassification>{IPC_PARTS}</IPCRClassification>"
    patent = classified(f"<IPCRClassificationBag>{ipc}</IPCRClassificationBag>")
    assert "classifications" not in patent.row
    assert [(issue.code, issue.value) for issue in patent.issues] == [("PT.CNF.001", "G06K")]


def two_designs(*extra: str, locarno: str = "") -> Mapped:
    """Return an application of Viet Nam with its one design twice, more inside each of them."""
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    bag = next(root.iter("{*}DesignBag"))
    for inside in extra:
        parsed = etree.fromstring(
            f"<Design xmlns='{DESIGN[1:-1]}' xmlns:com='{COMMON[1:-1]}'>{inside}</Design>"
        )
        bag[0].extend(parsed[:])
    if locarno:
        symbols = next(root.iter("{*}LocarnoClassificationBag"))
        edition = symbols[0]
        symbols[:] = [edition, *etree.fromstring(f"<B xmlns='{COMMON[1:-1]}'>{locarno}</B>")[:]]
    bag.append(etree.fromstring(etree.tostring(bag[0])))
    next(bag[1].iter("{*}DesignIdentifier")).text = "2"
    next(bag[1].iter("{*}RegistrationNumber")).text = "VN90002D"
    unknown: dict = {}
    design = mapping_for("VN", Right.DESIGNS).apply(root, {}, unknown)
    assert (unknown, design.issues) == ({}, [])
    return design


AGENT = "<com:Contact><com:Name><com:EntityName>Agent</com:EntityName></com:Name></com:Contact>"


def test_what_each_design_repeats_is_the_applications_once() -> None:
    alone = mapping_for("VN", Right.DESIGNS).apply(
        etree.parse(FIXTURES / "vn/designs/single.xml").getroot(), {}, {}
    )
    priority = (
        "<PriorityBag><Priority><com:PriorityCountryCode>JP</com:PriorityCountryCode>"
        "<com:PriorityApplicationFilingDate>2020-09-01</com:PriorityApplicationFilingDate>"
        "</Priority></PriorityBag>"
    )
    row = two_designs(priority).row
    assert [(design["identifier"], design["registrationNumber"]) for design in row["designs"]] == [
        ("1", "VN90001D"),
        ("2", "VN90002D"),
    ]
    assert row["registrationNumber"] == "VN90001D"
    assert row["priorities"] == [{"countryCode": "JP", "date": date(2020, 9, 1)}]
    for name in ("designers", "publications", "statusEvents"):
        assert row[name] == alone.row[name]


def test_what_one_design_says_twice_stands_twice() -> None:
    event = (
        "<DesignEventBag><DesignEvent><DesignEventCategory>Published</DesignEventCategory>"
        "<DesignEventDateTime>2021-09-01T10:00:00+07:00</DesignEventDateTime></DesignEvent></DesignEventBag>"
    )
    events = two_designs(event, event).row["statusEvents"]
    assert [e for e in events if e["category"] == "published"] == 2 * [
        {"category": "published", "date": date(2021, 9, 1)}
    ]


def test_an_agent_may_stand_with_the_designs_alone() -> None:
    agent = f"<com:Representative>{AGENT}</com:Representative>"
    row = two_designs(f"<com:RepresentativeBag>{agent}</com:RepresentativeBag>").row
    assert [agent["names"] for agent in row["representatives"]].count([{"text": "Agent"}]) == 1


def test_one_edition_may_have_several_symbols() -> None:
    text = "<LocarnoClassificationText>{}</LocarnoClassificationText>".format
    parts = (
        "<LocarnoClassification><LocarnoClass>12</LocarnoClass><LocarnoSubclassBag>"
        "<LocarnoSubclass>8</LocarnoSubclass></LocarnoSubclassBag></LocarnoClassification>"
    )
    design = two_designs(locarno=text("07-01") + text("7-2") + text("07-02") + parts)
    for inner, lines in zip(design.row["designs"], design.lines["designs"], strict=True):
        assert inner["classifications"] == [
            {"scheme": "locarno", "edition": "14", "symbol": symbol}
            for symbol in ("07-01", "07-02", "12-08")
        ]
        assert len(lines["classifications"]) == 3


def test_a_design_application_may_say_when_it_was_filed_to_the_second() -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    filed = next(root.iter("{*}ApplicationDate"))
    day = date.fromisoformat(filed.text)
    filed.tag, filed.text = f"{COMMON}ApplicationDateTime", f"{filed.text}T09:30:00+07:00"
    bag = etree.SubElement(root, f"{DESIGN}DesignApplicationStatementBag")
    etree.SubElement(bag, f"{DESIGN}DesignApplicationStatementText").text = "Of a set."
    unknown: dict = {}
    design = mapping_for("VN", Right.DESIGNS).apply(root, {}, unknown)
    assert (design.row["applicationDate"], unknown) == (day, {})
    assert design.row["statements"] == [{"text": "Of a set."}]


@pytest.mark.parametrize(
    ("office", "number", "kind"),
    [
        ("ID", "S00201900123", "utility_model"),
        ("ID", "SID201900123", "utility_model"),
        ("ID", "P00201900123", "patent"),
        ("MY", "UI 2019000123", "utility_model"),
        ("MY", "PI2019000123", "patent"),
        ("PH", "2/2019/000123", "utility_model"),
        ("PH", "1/2019/000123", "patent"),
        ("TH", "1903000123", "utility_model"),
        ("TH", "1901000123", "patent"),
        ("VN", "2-2019-00123", "utility_model"),
        ("VN", "1-2019-00123", "patent"),
    ],
)
def test_the_number_says_what_is_a_utility_model(office: str, number: str, kind: str) -> None:
    root = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    next(root.iter("{*}ApplicationNumberText")).text = number
    row = mapping_for(office, Right.PATENTS).apply(root, {}, {}).row
    assert row["rightKind"] == kind
    if "st13" in row:
        assert row["st13"][2:4] == {"patent": "10", "utility_model": "20"}[kind]


@pytest.mark.parametrize(
    ("number", "route"),
    [("D210025", "hague"), ("DU210025", "hague"), ("30202110025U", "national")],
)
def test_singapores_number_says_which_design_is_international(number: str, route: str) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    next(root.iter("{*}ApplicationNumberText")).text = number
    assert mapping_for("SG", Right.DESIGNS).apply(root, {}, {}).row["filingRoute"] == route


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("<com:P>For r<com:Del>a</com:Del><com:Ins>i</com:Ins>ce.</com:P>", "For rice."),
        (
            "<com:P>A mill<com:Image><com:FileName>1.tif</com:FileName></com:Image>(1).</com:P>",
            "A mill (1).",
        ),
        ("<PageImage><com:FileName>1.tif</com:FileName></PageImage>", None),
        ("<DocumentURI>https://example.org/1.pdf</DocumentURI>", None),
    ],
)
def test_pictures_and_deletions_are_no_words_of_an_abstract(inside: str, text: str | None) -> None:
    root = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    abstract = next(root.iter("{*}Abstract"))
    patent = COMMON.replace("Common", "Patent")
    abstract[:] = etree.fromstring(
        f"<A xmlns='{patent[1:-1]}' xmlns:com='{COMMON[1:-1]}'>{inside}</A>"
    )[:]
    row = mapping_for("TH", Right.PATENTS).apply(root, {}, {}).row
    assert [a["text"] for a in row.get("abstracts", [])] == ([text] if text else [])


@pytest.mark.parametrize(
    ("application", "design", "read", "notes"),
    [
        ("Filed", "Registered", ("Registered", "registered", date(2022, 2, 2)), 0),
        ("Filed", None, ("Filed", "filed", date(2021, 1, 1)), 0),
        ("Withdrawn", "Filed", ("Withdrawn", "withdrawn", date(2021, 1, 1)), 2),
    ],
)
def test_a_filed_application_says_nothing_of_a_registered_design(
    application: str, design: str | None, read: tuple[str, str, date], notes: int
) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    [inner] = root.iter("{*}Design")
    for name, text in (("Category", design), ("Date", "2022-02-02")):
        [told] = inner.iterfind(f"{{*}}DesignCurrentStatus{name}")
        told.text = text
        if design is None:
            inner.remove(told)
    before = ("CurrentStatusDate", "2021-01-01"), ("CurrentStatusCategory", application)
    for name, text in before:
        told = etree.Element(f"{DESIGN}DesignApplication{name}")
        told.text = text
        root.insert(0, told)
    told = etree.Element(f"{DESIGN}SealedDepositIndicator")
    told.text = "false"  # waits as well, and has nothing to do with it
    root.insert(0, told)
    mapped = mapping_for("VN", Right.DESIGNS).apply(root, {}, {})
    assert (mapped.row["officeStatus"], mapped.row["status"], mapped.row["statusDate"]) == read
    assert [issue.code for issue in mapped.issues] == notes * ["ALL.CNF.018"]


@pytest.mark.parametrize(
    ("word", "route", "codes"),
    [
        ("Regional", "regional", []),
        ("PCT", "pct", []),
        ("Euro-PCT", "national", ["PT.CNF.007"]),
    ],
)
def test_an_unknown_way_of_filing_is_told_as_one(word: str, route: str, codes: list[str]) -> None:
    root = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    told = etree.Element(f"{COMMON.replace('Common', 'Patent')}ApplicationFilingCategory")
    told.text = word
    next(root.iter("{*}ApplicationIdentification")).append(told)
    patent = mapping_for("TH", Right.PATENTS).apply(root, {}, {})
    assert patent.row["filingRoute"] == route
    assert [issue.code for issue in patent.issues] == codes


def test_the_status_of_a_design_stands_where_the_finding_says() -> None:
    path = mapping_for("VN", Right.DESIGNS).element_path("statusDate")
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    assert path == "DesignApplication/DesignBag/Design/DesignCurrentStatusDate"
    assert root.find("/".join(f"{{*}}{name}" for name in path.split("/")[1:])) is not None


@pytest.mark.parametrize(
    ("field", "opener", "path"),
    [
        ("representatives[0].names", 0, "RepresentativeBag/Representative/Contact/Name/EntityName"),
        ("representatives[0].names", 1,
         "DesignBag/Design/RepresentativeBag/Representative/Contact/Name/EntityName"),
        ("designs[1].classifications[1]", 1,
         "DesignBag/Design[2]/DesignClassificationBag/NationalDesignClassificationBag/"
         "NationalDesignClassification"),
        ("designs[1].classifications[1].edition", 1, None),
        ("priorities[2].date", 0,
         "DesignBag/Design/PriorityBag/Priority/PriorityApplicationFilingDate"),
        ("applicants[1].identifier", 0, "ApplicantBag/Applicant[2]/PartyIdentifier"),
    ],
)  # fmt: skip
def test_a_path_leads_into_the_element_that_opened_the_item(
    field: str, opener: int, path: str | None
) -> None:
    found = mapping_for("VN", Right.DESIGNS).element_path(field, opener)
    assert found == (path and f"DesignApplication/{path}")


@pytest.mark.parametrize("place", ["BibliographicData", "PatentGrantIdentification"])
def test_a_patent_says_when_it_expires(place: str) -> None:
    root = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    etree.SubElement(next(root.iter(f"{{*}}{place}")), "ExpiryDate").text = "2034-01-04"
    unknown: dict = {}
    patent = mapping_for("TH", Right.PATENTS).apply(root, {}, unknown)
    assert (patent.row["expiryDate"], patent.issues, unknown) == (date(2034, 1, 4), [], {})
