"""Invented industrial designs, written as ST.96 ``DesignApplication`` documents.

A file with many applications is an ST.96 ``DesignTransaction``. Both are valid against their
V6_0 schemas. Picture bytes come from ``images``; only their names are written here.
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

VIEWS = ("Perspective", "Front", "Left", "Top")
TERM = 15
"""Years a registration lasts from filing, renewals included."""


@dataclass(frozen=True, slots=True)
class Product:
    """One design of an application: what it is applied to and how it is shown."""

    identifier: str
    titles: Texts
    locarno: str
    description: str = ""
    novelty: str = ""
    views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Design:
    """One design application as the office knows it; empty texts are left out."""

    office: str
    number: str
    filed: str
    language: str
    status: str
    status_date: str
    products: tuple[Product, ...]
    applicants: tuple[Party, ...]
    designers: tuple[Party, ...]
    agents: tuple[Party, ...] = ()
    registration: tuple[str, str, str] = ("", "", "")
    publication: tuple[str, str] = ("", "")
    priorities: tuple[tuple[str, str, str], ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    total: str = ""

    @property
    def folder(self) -> str:
        """Return the number with letters and digits only."""
        return "".join(c for c in self.number if c.isalnum())


def invent(inventor: Inventor, office: DemoOffice, serial: int, *, plain: bool = False) -> Design:
    """Return an invented design application with one product, sometimes two.

    Args:
        inventor: gives the names; its generator decides everything else.
        office: whose number shapes to follow; it must have one for designs.
        serial: makes the number unique within the office.
        plain: a registered application, on which any fault can be planted.
    """
    random = inventor.random
    filed = date(2015 + int(random.random() * 11.5), 1 + serial % 7, 1 + serial % 28)
    if plain:
        filed = date(2021, 2, 1 + serial % 28)
    serial += FIRST_SERIAL
    number = (office.design or "").format(serial=serial, year=filed.year, yy=filed.year % 100)
    decided = filed + timedelta(days=300)
    status = "Registered" if decided < LATEST else "Filed"
    if status == "Registered" and not plain and random.random() < 0.08:
        status = "Withdrawn"
    foreign = not plain and random.random() < 0.3
    applicant = inventor.company(foreign=foreign)
    products = [_product(inventor, place) for place in range(1, 2 + (serial % 6 == 5))]
    events = [("Application", "Filed", filed.isoformat())]
    if status != "Filed":
        events.append(("Design", status, decided.isoformat()))
    design = Design(
        office=office.code,
        number=number,
        filed=filed.isoformat(),
        language=office.language,
        status=status,
        status_date=events[-1][2],
        products=tuple(products),
        applicants=(applicant,),
        designers=(inventor.person(foreign=foreign),),
        agents=(inventor.agency(),) if foreign else (),
        events=tuple(events),
        total=str(len(products)),
    )
    if status == "Registered":
        design = _registered(design, filed, decided, serial)
    if foreign:
        claimed = (filed - timedelta(days=150)).isoformat()
        design = replace(
            design, priorities=((applicant.country, f"{claimed[:4]}-{serial}", claimed),)
        )
    return design


def _registered(design: Design, filed: date, decided: date, serial: int) -> Design:
    shown = filed + timedelta(days=120)
    expiry = filed.replace(year=filed.year + TERM)
    return replace(
        design,
        registration=(f"{design.office}{serial}D", decided.isoformat(), expiry.isoformat()),
        publication=(f"{design.office}-IDJ-{shown.year}-{shown.month:02d}", shown.isoformat()),
    )


def _product(inventor: Inventor, place: int) -> Product:
    topic = inventor.pick("products")
    count = 2 + int(inventor.random.random() * 3)
    title = topic["en"].lower()
    return Product(
        identifier=str(place),
        titles=((topic[inventor.language], inventor.language),),
        locarno=topic["locarno"],
        description=f"An invented {title}, shown in {count} views.",
        novelty=f"New is the shape of the {title} as a whole.",
        views=tuple(f"ATTACHMENT/view_{place}_{view}.png" for view in range(1, count + 1)),
    )


def single(design: Design) -> bytes:
    """Return the ST.96 document of one application (UTF-8)."""
    return (DECLARATION + _application(design, NAMESPACES)).encode()


def several(designs: Sequence[Design]) -> bytes:
    """Return one ST.96 transaction with many applications (UTF-8)."""
    applications = "".join(_application(design, "") for design in designs)
    bag = wrapped("dgn:DesignApplicationBag", applications, 'com:st96Version="V6_0"')
    content = (
        element("com:TransactionIdentifier", f"{designs[0].office}-{designs[0].folder}")
        + element("com:TransactionCategory", "Design information")
        + element("com:TransactionSubCode", "National design")
        + wrapped("dgn:TransactionData", bag)
    )
    body = wrapped("dgn:DesignTransactionBody", wrapped("dgn:TransactionContentBag", content))
    attributes = f'{NAMESPACES} com:st96Version="V6_0"'
    return (DECLARATION + wrapped("dgn:DesignTransaction", body, attributes)).encode()


def _application(design: Design, namespaces: str) -> str:
    applicants = "".join(wrapped("dgn:Applicant", contact(party)) for party in design.applicants)
    agents = "".join(wrapped("com:Representative", contact(party)) for party in design.agents)
    bag = wrapped("dgn:ApplicantBag", applicants)
    products = "".join(_design(design, product, bag) for product in design.products)
    events = "".join(_event(*event) for event in design.events if event[0] == "Application")
    return wrapped(
        "dgn:DesignApplication",
        element("com:RegistrationOfficeCode", design.office)
        + application_number(design.office, design.number)
        + element("dgn:DesignApplicationLanguageCode", design.language)
        + element("dgn:DesignTotalQuantity", design.total)
        + wrapped("dgn:DesignBag", products)
        + bag
        + wrapped("com:RepresentativeBag", agents)
        + wrapped("dgn:DesignApplicationEventBag", events)
        + element("com:ApplicationDate", design.filed),
        f'{namespaces}{namespaces and " "}com:st96Version="V6_0"',
    )


def _design(design: Design, product: Product, applicants: str) -> str:
    # ST.96 hangs these on single designs; what the whole application shares is said once.
    first = product is design.products[0]
    number, registered, expiry = design.registration
    designers = "".join(
        wrapped("dgn:Designer", contact(party, person=True)) for party in design.designers if first
    )
    events = "".join(_event(*event) for event in design.events if first and event[0] == "Design")
    return wrapped(
        "dgn:Design",
        element("dgn:DesignIdentifier", product.identifier)
        + element("com:RegistrationNumber", number)
        + element("com:RegistrationDate", registered)
        + spoken("dgn:DesignTitleText", product.titles)
        + spoken("dgn:DesignDescriptionText", _english(product.description))
        + spoken("dgn:NoveltyStatementText", _english(product.novelty))
        + element("com:ExpiryDate", expiry)
        + element("dgn:DesignCurrentStatusCategory", design.status)
        + element("dgn:DesignCurrentStatusDate", design.status_date)
        + wrapped(
            "dgn:DesignRepresentationBag",
            wrapped("dgn:DesignRepresentation", wrapped("dgn:ViewBag", _views(product))),
        )
        + _classification(product)
        + (_priorities(design) + _publication(design) if first else "")
        + applicants
        + wrapped("dgn:DesignerBag", designers)
        + wrapped("dgn:DesignEventBag", events),
    )


def _english(text: str) -> Texts:
    return ((text, "en"),) if text else ()


def _views(product: Product) -> str:
    return "".join(
        wrapped(
            "dgn:View",
            element("com:FileName", name)
            + element("dgn:ViewIdentifier", str(place))
            + element("dgn:ViewFileFormatCategory", "PNG")
            + element("dgn:ViewTypeCategory", VIEWS[(place - 1) % len(VIEWS)]),
        )
        for place, name in enumerate(product.views, 1)
    )


def _classification(product: Product) -> str:
    if not product.locarno:
        return ""
    edition = element("com:LocarnoClassificationEdition", "14")
    symbol = element("com:LocarnoClassificationText", product.locarno)
    return wrapped(
        "com:DesignClassificationBag", wrapped("com:LocarnoClassificationBag", edition + symbol)
    )


def _priorities(design: Design) -> str:
    items = "".join(
        wrapped(
            "dgn:Priority",
            element("com:PriorityCountryCode", country)
            + wrapped("com:ApplicationNumber", element("com:ApplicationNumberText", number))
            + element("com:PriorityApplicationFilingDate", claimed),
        )
        for country, number, claimed in design.priorities
    )
    return wrapped("dgn:PriorityBag", items)


def _publication(design: Design) -> str:
    journal, shown = design.publication
    if not journal:
        return ""
    inside = element("com:PublicationIdentifier", journal) + element("com:PublicationDate", shown)
    return wrapped("dgn:PublicationBag", wrapped("dgn:Publication", inside))


def _event(scope: str, category: str, day: str) -> str:
    name = f"dgn:{'DesignApplicationEvent' if scope == 'Application' else 'DesignEvent'}"
    return wrapped(name, element(f"{name}Category", category) + element(f"{name}Date", day))
