"""The tables of the register keep their promises: classes, names, what must not be there.

``st96_names.txt`` lists the ST.96 names the tables use. The list was made from the flattened
V6_0 schemas of WIPO; how, stands at its top. A new name goes there only after that check.
"""

import re
from pathlib import Path

import pytest

from ipregister.dictionary import COLUMNS, render
from ipregister.model import Disclosure, Member, Right, load_tables

TABLES = load_tables()
PATHS = [
    (right, path, member, disclosure)
    for right, table in TABLES.items()
    for path, member, disclosure in table.paths()
]
DICTIONARY = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
ST96_NAMES = Path(__file__).with_name("st96_names.txt")

COMMON = {
    "recordId officeCode right rightKind applicationNumber applicationDate st13"
    " applicationLanguageCode registrationNumber registrationDate expiryDate filingRoute"
    " internationalRegistrationNumber priorities publications images classifications"
    " relatedApplications": Disclosure.CORE,
    "applicants representatives correspondence previousHolders assignments licences"
    " securityInterests recordChanges partyEvents partyDocuments applicantReference": (
        Disclosure.STAKEHOLDER
    ),
    "status statusGroup officeStatus previousOfficeStatus statusDate terminationDate"
    " renewals renewalDueDate certificateDate statusEvents": Disclosure.STATUS_CHANGE,
    "examinationEvents oppositions proceedings priorityDecisions examinationDocuments": (
        Disclosure.EXAMINATION
    ),
    "documents": Disclosure.DOCUMENTS,
}
OWN = {
    Right.TRADEMARKS: {
        "markKind markFeature markVerbalElements significantVerbalElements translations"
        " transliterations disclaimers colourClaims markDescriptions goodsServices": (
            Disclosure.CORE
        ),
        "classStatuses limitations useDeclarations protectionDate": Disclosure.STATUS_CHANGE,
        "citations oppositionPeriodEndDate": Disclosure.EXAMINATION,
    },
    Right.PATENTS: {
        "titles abstracts kindCode pct claimsCount": Disclosure.CORE,
        "inventors owners": Disclosure.STAKEHOLDER,
        "termAdjustments restorationDate": Disclosure.STATUS_CHANGE,
        "referencesCited searchReports examination examinationRequestDate": Disclosure.EXAMINATION,
        "claims specifications drawings": Disclosure.DOCUMENTS,
    },
    Right.DESIGNS: {
        "designs designTotal defermentEndDate": Disclosure.CORE,
        "designers": Disclosure.STAKEHOLDER,
        "designStatuses limitations": Disclosure.STATUS_CHANGE,
        "refusals referencesCited": Disclosure.EXAMINATION,
    },
}
MEMBERS = {
    "applicants": "identifier names addressLines countryCode nationalityCode",
    "priorities": "countryCode number date",
    "publications": "identifier date section kindCode",
    "images": "fileName format memberPath sha256 bytes mediaType",
    "classifications": "scheme edition symbol",
    "statusEvents": "date category officeCode officeText",
    "documents": "role fileName memberPath sha256 bytes mediaType",
}
PERSON = {
    *("names", "applicants", "applicant", "inventors", "inventor", "designers", "designer"),
    *("owners", "holders", "licensees", "licensors", "assignees", "assignors", "grantors"),
    *("grantees", "representatives", "correspondence", "address", "nationality", "residence"),
}
STATUS = {"status", "statuses", "renewal", "renewals", "termination", "restoration", "events"}
SECRET = {
    *("payment", "payments", "paid", "fee", "fees", "amount", "currency", "account", "bank"),
    *("das", "access", "password", "secret", "signature", "email", "emails", "mail", "phone"),
    *("telephone", "mobile", "fax", "opponent", "opponents", "examiner", "examiners", "staff"),
    *("birth", "passport", "tax"),
}
SECRET_ST96 = re.compile(
    r"Payment|Fee[A-Z]|Amount|Account|Bank|DAS|Password|Signature|Email|Phone|Fax|Opponent|Examiner"
    r"|Staff|AuthorizedOfficer|Login|Card|Cheque"
)


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Za-z][a-z0-9]*", name)}


def expected(right: Right) -> list[tuple[str, Disclosure]]:
    groups = [*COMMON.items(), *OWN[right].items()]
    return [(name, disclosure) for names, disclosure in groups for name in names.split()]


@pytest.mark.parametrize("right", Right)
def test_fields_have_the_class_the_offices_were_promised(right: Right) -> None:
    found = {name: TABLES[right].field(name).disclosure for name, _ in expected(right)}
    assert found == dict(expected(right))


@pytest.mark.parametrize("right", Right)
def test_members_others_build_on_are_there(right: Right) -> None:
    for name, members in MEMBERS.items():
        have = {member.name for member in TABLES[right].field(name).fields}
        assert set(members.split()) <= have, name


def test_persons_are_in_the_stakeholder_class_only() -> None:
    elsewhere = [
        f"{right}.{path}"
        for right, path, _, disclosure in PATHS
        if words(path) & PERSON and disclosure is not Disclosure.STAKEHOLDER
    ]
    assert elsewhere == []


def test_core_does_not_tell_the_status() -> None:
    told = [f"{r}.{p}" for r, p, _, d in PATHS if d is Disclosure.CORE and words(p) & STATUS]
    # How a symbol stands in the IPC says nothing about the right.
    assert told == ["patents.classifications.symbolStatus"]


def test_secrets_have_no_field() -> None:
    named = [f"{right}.{path}" for right, path, _, _ in PATHS if words(path) & SECRET]
    borrowed = [m.st96 for _, _, m, _ in PATHS if m.st96 and SECRET_ST96.search(m.st96)]
    assert (named, borrowed) == ([], [])


def test_events_of_every_class_have_the_same_members() -> None:
    for table in TABLES.values():
        events = table.field("statusEvents").fields
        assert table.field("examinationEvents").fields == events
        assert table.field("partyEvents").fields == events


def shape(member: Member) -> tuple[object, ...]:
    return (member.name, member.type, member.values, tuple(shape(m) for m in member.fields))


@pytest.mark.parametrize(
    "name",
    [
        *("applicants", "representatives", "correspondence", "previousHolders"),
        *("statusEvents", "oppositions", "documents", "partyDocuments", "examinationDocuments"),
        *("images", "securityInterests", "recordChanges", "priorityDecisions", "officeFileKey"),
        *("status", "statusGroup", "filingRoute", "exhibitionPriorities"),
    ],
)
def test_what_several_rights_share_is_the_same_in_each(name: str) -> None:
    shapes = {shape(table.field(name)) for table in TABLES.values()}
    assert len(shapes) == 1


def test_a_field_name_has_one_class_and_one_type_in_all_tables() -> None:
    kinds: dict[str, set[tuple[str, str]]] = {}
    for table in TABLES.values():
        for field in table.fields:
            kinds.setdefault(field.name, set()).add((field.disclosure, field.type))
    assert {name for name, found in kinds.items() if len(found) > 1} == set()


def test_parties_are_described_alike() -> None:
    for table in TABLES.values():
        party = table.field("applicants").fields
        roles = ("representatives", "correspondence", "inventors", "designers", "owners")
        for field in table.fields:
            if field.name in roles:
                assert field.fields == party, field.name


def test_a_struct_has_leaves_only() -> None:
    structs = [member for _, _, member, _ in PATHS if member.type == "struct"]
    assert structs
    assert [m.name for m in structs if any(inner.fields for inner in m.fields)] == []


def test_codes_are_lower_snake_case_or_standard() -> None:
    odd = {
        value
        for _, _, member, _ in PATHS
        for value in member.values
        if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*|ST\.\d\d", value)
    }
    assert odd == set()
    assert [
        m.name for _, _, m, _ in PATHS if m.values and m.type not in ("string", "strings")
    ] == []


def test_inid_codes_have_the_length_of_their_standard() -> None:
    length = {Right.TRADEMARKS: 3, Right.PATENTS: 2, Right.DESIGNS: 2}
    wrong = [f"{r}.{p}" for r, p, m, _ in PATHS if m.inid and len(m.inid) != length[r]]
    assert wrong == []


def test_st96_names_were_checked_against_the_schemas() -> None:
    lines = ST96_NAMES.read_text("utf-8").splitlines()
    checked = [line for line in lines if line and not line.startswith("#")]
    assert checked == sorted({member.st96 for _, _, member, _ in PATHS if member.st96})


def test_the_dictionary_is_current() -> None:
    # Otherwise: python -m ipregister.dictionary docs/data-dictionary.md
    assert DICTIONARY.read_text("utf-8") == render(TABLES)


def test_the_dictionary_explains_every_field() -> None:
    rows = [line for line in render(TABLES).splitlines() if line.startswith("| `")]
    assert len(rows) == len(PATHS)
    for (_, path, member, disclosure), row in zip(PATHS, rows, strict=True):
        cells = re.split(r"(?<!\\) \| ?", row.removeprefix("| ").removesuffix("|"))
        assert cells[0] == f"`{path}`"
        shared = f"{disclosure}, free text" if member.freeText else disclosure
        assert cells[4:6] == [shared, member.description]
        assert len(cells) == len(COLUMNS)


NAMES_OF_THE_CLASS = {"stakeholder"}
THE_MARK_ITSELF = {
    "markVerbalElements",
    "significantVerbalElements",
    "translations",
    "transliterations",
    "transcriptions",
}
VOCABULARY = {"geographicalIndication.products", "geographicalIndication.areas"} | {
    f"{place}.{name}"
    for place in ("designs.classifications", "searchReports")
    for name in ("products", "searchFields")
}


def test_every_text_is_free_text_unless_we_know_what_is_in_it() -> None:
    """A text somebody adds may carry names until somebody has thought about it."""
    for right, path, member, disclosure in PATHS:
        if member.type == "texts" and not member.freeText:
            known = path in THE_MARK_ITSELF | VOCABULARY
            assert known or disclosure in NAMES_OF_THE_CLASS, (right, path)
