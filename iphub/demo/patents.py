"""Invented patents and utility models, written as ST.96 ``PatentPublication`` documents.

ST.96 has no document for many publications, so a delivery file puts them side by side under
a plain ``PatentPublicationBag``; each publication alone is valid against the V6_0 schema of
``PatentPublication``. The legal status travels in the standard's ``documentStatusText``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from iphub.demo.names import Inventor, Party, Texts
from iphub.demo.offices import DemoOffice
from iphub.demo.st96_xml import (
    DECLARATION,
    NAMESPACES,
    application_number,
    contact,
    element,
    spoken,
    wrapped,
)
from iphub.demo.trademarks import FIRST_SERIAL, LATEST

STATUSES = {
    "filed": "Filed",
    "published": "Published",
    "granted": "Granted",
    "withdrawn": "Withdrawn",
}


@dataclass(frozen=True, slots=True)
class Patent:
    """One patent or utility model as the office knows it; empty texts are left out."""

    office: str
    number: str
    filed: str
    language: str
    utility: bool
    status: str
    titles: Texts
    abstract: str
    symbols: tuple[str, ...]
    claims: int
    applicants: tuple[Party, ...]
    inventors: tuple[Party, ...]
    agents: tuple[Party, ...] = ()
    publication: tuple[str, str] = ("", "")
    grant: tuple[str, str] = ("", "")
    withdrawn: str = ""
    examination: str = ""
    priorities: tuple[tuple[str, str, str], ...] = ()
    pct: tuple[str, str, str, str] = ("", "", "", "")

    @property
    def folder(self) -> str:
        """Return the number with letters and digits only."""
        return "".join(c for c in self.number if c.isalnum())


def invent(inventor: Inventor, office: DemoOffice, serial: int, *, plain: bool = False) -> Patent:
    """Return an invented patent or, one time in six, a utility model.

    Args:
        inventor: gives the names; its generator decides everything else.
        office: whose number shapes to follow; it must have them for patents.
        serial: makes the number unique within the office.
        plain: a granted national patent, on which any fault can be planted.
    """
    random = inventor.random
    utility = not plain and random.random() < 1 / 6
    filed = date(2017 + int(random.random() * 8), 1 + serial % 8, 1 + serial % 28)
    if plain:
        filed = date(2018, 3, 1 + serial % 28)
    serial += FIRST_SERIAL
    pattern = (office.utility if utility else office.patent) or ""
    topic = inventor.pick("inventions")
    foreign = not plain and random.random() < 0.5
    patent = Patent(
        office=office.code,
        number=pattern.format(serial=serial, year=filed.year, yy=filed.year % 100),
        filed=filed.isoformat(),
        language=office.language,
        utility=utility,
        status=STATUSES["filed"],
        titles=((topic[office.language], office.language), (topic["en"], "en")),
        abstract=topic["abstract"],
        symbols=tuple(topic["ipc"]),
        claims=3 + int(random.random() * 12),
        applicants=(inventor.company(foreign=foreign),),
        inventors=tuple(inventor.person(foreign=foreign) for _ in range(1 + serial % 2)),
        agents=(inventor.agency(),) if foreign else (),
    )
    if foreign:
        patent = _from_abroad(patent, filed, serial, pct=random.random() < 0.6)
    return _grown(patent, filed, serial, chance=0.5 if plain else random.random())


def _grown(patent: Patent, filed: date, serial: int, *, chance: float) -> Patent:
    """Add what happened since filing: publication, then withdrawal or grant."""
    published, granted = filed + timedelta(days=560), filed + timedelta(days=1100 + serial % 90)
    withdrawn = published + timedelta(days=200)
    if published >= LATEST:
        return patent
    shown = (f"{patent.office}{serial}", published.isoformat())
    patent = replace(patent, status=STATUSES["published"], publication=shown)
    if chance < 0.08 and withdrawn < LATEST:
        return replace(patent, status=STATUSES["withdrawn"], withdrawn=withdrawn.isoformat())
    if chance > 0.7 or granted >= LATEST:
        return patent
    return replace(
        patent,
        status=STATUSES["granted"],
        grant=(f"{patent.office}{serial}P", granted.isoformat()),
        examination=(filed + timedelta(days=700)).isoformat(),
    )


def _from_abroad(patent: Patent, filed: date, serial: int, *, pct: bool) -> Patent:
    """Add the priority of a foreign application and, with ``pct``, the international one."""
    claimed = filed - timedelta(days=900 if pct else 300)
    country = patent.applicants[0].country
    patent = replace(
        patent, priorities=((country, f"{claimed.year}-{serial}", claimed.isoformat()),)
    )
    return replace(patent, pct=_international(filed, serial)) if pct else patent


def _international(filed: date, serial: int) -> tuple[str, str, str, str]:
    """Return number and date of an international filing and of its publication."""
    lodged = filed - timedelta(days=540)
    shown = lodged + timedelta(days=200)
    serial += 800_000  # above any number the International Bureau has given in a year
    return (
        f"PCT/IB{lodged.year}/{serial:06d}",
        lodged.isoformat(),
        f"WO{shown.year}{serial:06d}",
        shown.isoformat(),
    )


def single(patent: Patent) -> bytes:
    """Return the ST.96 document of one publication (UTF-8)."""
    return (DECLARATION + _publication(patent, NAMESPACES)).encode()


def several(patents: Sequence[Patent]) -> bytes:
    """Return one file with many publications (UTF-8)."""
    inside = "".join(_publication(patent, "") for patent in patents)
    return (DECLARATION + wrapped("pat:PatentPublicationBag", inside, NAMESPACES)).encode()


def _publication(patent: Patent, namespaces: str) -> str:
    attributes = (
        f'{namespaces}{namespaces and " "}com:languageCode="{patent.language}" '
        f'com:documentStatusText="{patent.status}" com:st96Version="V6_0"'
    )
    paragraph = wrapped("pat:Abstract", element("com:P", patent.abstract), 'com:languageCode="en"')
    claims = "".join(
        wrapped(
            "pat:Claim",
            element("pat:ClaimNumber", str(place))
            + element("pat:ClaimText", f"The subject of the title, with invented feature {place}."),
        )
        for place in range(1, min(patent.claims, 3) + 1)
    )
    return wrapped(
        "pat:PatentPublication",
        element("com:IPOfficeCode", patent.office)
        + wrapped("pat:BibliographicData", _biblio(patent), 'com:st96Version="V6_0"')
        + wrapped("pat:Claims", claims)
        + paragraph,
        attributes,
    )


def _identified(name: str, patent: Patent, number: tuple[str, str], tags: tuple[str, str]) -> str:
    """Return publication or grant: office, number, kind (WIPO ST.16), date."""
    if not number[0]:
        return ""
    kind = "U" if patent.utility else "B" if name == "pat:PatentGrantIdentification" else "A"
    return wrapped(
        name,
        element("com:IPOfficeCode", patent.office)
        + element(tags[0], number[0])
        + element("com:PatentDocumentKindCode", kind)
        + element(tags[1], number[1]),
    )


def _biblio(patent: Patent) -> str:
    symbols = "".join(
        wrapped("pat:IPCRClassification", element("pat:PatentClassificationText", symbol))
        for symbol in patent.symbols
    )
    return "".join(
        (
            _identified(
                "pat:PatentPublicationIdentification",
                patent,
                patent.publication,
                ("pat:PublicationNumber", "com:PublicationDate"),
            ),
            wrapped(
                "pat:ApplicationIdentification",
                element("com:IPOfficeCode", patent.office)
                + application_number(patent.office, patent.number)
                + element("com:FilingLanguageCode", patent.language)
                + element("pat:FilingDate", patent.filed),
            ),
            _identified(
                "pat:PatentGrantIdentification",
                patent,
                patent.grant,
                ("pat:PatentNumber", "pat:GrantDate"),
            ),
            wrapped("pat:PriorityClaimBag", _claims(patent)),
            wrapped("pat:PatentClassificationBag", wrapped("pat:IPCRClassificationBag", symbols)),
            wrapped("pat:InventionTitleBag", spoken("pat:InventionTitle", patent.titles)),
            element("pat:ClaimTotalQuantity", str(patent.claims)),
            wrapped("pat:PartyBag", _parties(patent)),
            _pct(patent),
            wrapped(
                "pat:RightsEffectiveDateBag",
                element("com:ExaminationRequestDate", patent.examination),
            ),
            element("pat:ApplicationWithdrawnDate", patent.withdrawn),
        )
    )


def _claims(patent: Patent) -> str:
    return "".join(
        wrapped(
            "pat:PriorityClaim",
            element("com:IPOfficeCode", country)
            + wrapped("com:ApplicationNumber", element("com:ApplicationNumberText", number))
            + element("pat:FilingDate", claimed),
            f'com:sequenceNumber="{place}"',
        )
        for place, (country, number, claimed) in enumerate(patent.priorities, 1)
    )


def _parties(patent: Patent) -> str:
    applicants = "".join(wrapped("pat:Applicant", contact(party)) for party in patent.applicants)
    inventors = "".join(
        wrapped("pat:Inventor", contact(party, person=True)) for party in patent.inventors
    )
    agents = "".join(
        wrapped(
            "pat:RegisteredPractitioner",
            element("pat:RegisteredPractitionerRegistrationNumber", party.identifier)
            + element("pat:RegisteredPractitionerCategory", "Agent")
            + contact(party),
            f'com:sequenceNumber="{place}"',
        )
        for place, party in enumerate(patent.agents, 1)
    )
    return (
        wrapped("pat:ApplicantBag", applicants)
        + wrapped("pat:InventorBag", inventors)
        + wrapped("pat:RegisteredPractitionerBag", agents)
    )


def _pct(patent: Patent) -> str:
    filed_as, filed, published_as, published = patent.pct
    if not filed_as:
        return ""
    filing = wrapped(
        "pat:ApplicationIdentification",
        element("com:IPOfficeCode", "IB")
        + application_number("IB", filed_as)
        + element("pat:FilingDate", filed),
    )
    publication = wrapped(
        "pat:PatentPublicationIdentification",
        element("com:IPOfficeCode", "WO")
        + element("pat:PublicationNumber", published_as)
        + element("com:PublicationDate", published),
    )
    return wrapped("pat:InternationalFilingData", filing) + wrapped(
        "pat:InternationalPublishingData",
        wrapped("pat:PatentDocumentIdentification", publication),
    )
