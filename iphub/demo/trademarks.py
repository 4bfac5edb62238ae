"""Invented trade marks: the facts of one mark, before anyone writes them down.

Dates are texts, because an office may write what is no date; ``faults`` uses that. XML does
not belong here, see ``ipas_xml``. Nothing invented is dated after ``LATEST`` but expiries.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from iphub.demo.names import Inventor, Party, Texts, words
from iphub.demo.offices import DemoOffice

LATEST = date(2026, 9, 10)
"""Nothing in the first deliveries happens later; the updates follow in October 2026."""

FIRST_SERIAL = 90_000
TERM = 10
"""Years a registration lasts from filing."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a mark's history: normalised code, office's name and text."""

    date: str
    code: str
    name: str
    office_code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """One trade mark as the office knows it; empty texts are left out of the XML."""

    office: str
    number: str
    filed: str
    language: str
    transaction: tuple[str, str]
    kind: str
    feature: str
    status: str
    status_date: str
    goods: tuple[tuple[str, Texts], ...]
    events: tuple[Event, ...]
    words: Texts = ()
    translations: Texts = ()
    disclaimers: Texts = ()
    vienna: tuple[str, ...] = ()
    image: bool = False
    registration: tuple[str, str, str] = ("", "", "")
    ended: str = ""
    priorities: tuple[tuple[str, str, str], ...] = ()
    publication: tuple[str, str] = ("", "")
    applicants: tuple[Party, ...] = ()
    representatives: tuple[Party, ...] = ()

    @property
    def folder(self) -> str:
        """Return the number as IPAS writes it in folder names: letters and digits only."""
        return "".join(c for c in self.number if c.isalnum())


def _iso(day: date) -> str:
    return day.isoformat()


def _status(random: Random, filed: date) -> str:
    if filed.replace(year=filed.year + TERM) < LATEST:
        return "expired"
    chance = random.random()
    if (LATEST - filed).days < 500:
        return "filed" if chance < 0.5 else "pending" if chance < 0.7 else "published"
    if chance < 0.8:
        return "registered"
    return "refused" if chance < 0.9 else "withdrawn"


def _history(status: str, filed: date, random: Random) -> tuple[Event, ...]:
    published = filed + timedelta(days=60 + int(random.random() * 60))
    decided = published + timedelta(days=120 + int(random.random() * 150))
    steps = [Event(_iso(filed), "Filed", "Filing")]
    if status == "pending":
        steps.append(Event(_iso(filed + timedelta(days=14)), "Examined", "Formality examination"))
    if status in ("published", "registered", "expired"):
        steps.append(Event(_iso(published), "Published", "Publication", "44", "Journal published"))
    if status in ("registered", "expired"):
        steps.append(
            Event(_iso(decided), "Registered", "Registration", "123", "Entered in the register")
        )
    if status == "expired":
        last = filed.replace(year=filed.year + TERM)
        steps.append(Event(_iso(last), "Expired", "Expiration", "180", "Not renewed"))
    if status == "refused":
        steps.append(Event(_iso(decided), "Rejected", "Refusal", "31", "Refused after examination"))
    if status == "withdrawn":
        steps.append(Event(_iso(decided), "Withdrawn", "Withdrawal", "70", "Withdrawn by owner"))
    return tuple(steps)


def _goods(inventor: Inventor) -> tuple[tuple[str, Texts], ...]:
    random, vocabulary = inventor.random, words()["goods"]
    chosen = sorted(random.sample(tuple(vocabulary), 1 + int(random.random() ** 2 * 3)))
    result = []
    for number in chosen:
        texts = []
        for language in ("en", inventor.language):
            terms = vocabulary[number][language]
            start = int(random.random() * len(terms))
            texts.append(("; ".join((*terms[start:], *terms[:start])), language))
        result.append((str(number), tuple(texts)))
    return tuple(result)


def _words(inventor: Inventor, feature: str) -> tuple[Texts, Texts]:
    if feature == "Figurative":
        return (), ()
    latin, _ = inventor.brand()
    if inventor.random.random() < 0.5:
        return ((latin, "en"),), ()
    local, meaning = inventor.brand(inventor.language)
    return ((local, inventor.language), (latin, "en")), ((meaning, "en"),)


def _filed(random: Random) -> date:
    """Return a filing date from 2013 to July 2026, on a day every month has."""
    year, month = 2013 + int(random.random() * 13.5), 1 + int(random.random() * 7)
    return date(year, month, 1 + int(random.random() * 28))


def invent(inventor: Inventor, office: DemoOffice, serial: int, *, plain: bool = False) -> Mark:
    """Return an invented trade mark.

    Args:
        inventor: gives the names; its generator decides everything else.
        office: whose ways of writing numbers, kinds and statuses to follow.
        serial: makes the number unique within the office.
        plain: a national, registered, combined mark, on which any fault can be planted.
    """
    random = inventor.random
    filed = date(2019, 5, 1 + serial % 28) if plain else _filed(random)
    status = "registered" if plain else _status(random, filed)
    chance = 0.0 if plain else random.random()
    feature = "Combined" if chance < 0.5 else "Word" if chance < 0.9 else "Figurative"
    route: tuple[str, str, str] = (*office.transaction, office.mark)
    madrid = not plain and office.madrid is not None and random.random() < 0.15
    if madrid and office.madrid is not None:
        route = office.madrid
    number = route[2].format(
        serial=FIRST_SERIAL + serial, irn=9_000_000 + serial, year=filed.year, yy=filed.year % 100
    )
    events = _history(status, filed, random)
    foreign = madrid or random.random() < 0.3
    spoken, meanings = _words(inventor, feature)
    mark = Mark(
        office=office.code,
        number=number,
        filed=_iso(filed),
        language="en" if madrid else office.language,
        transaction=route[:2],
        kind="Collective" if random.random() < 0.04 else "Individual",
        feature=feature,
        status=office.statuses[status],
        status_date=events[-1].date,
        goods=_goods(inventor),
        events=events,
        words=spoken,
        translations=meanings,
        vienna=() if feature == "Word" else tuple(sorted(random.sample(words()["vienna"], 2))),
        image=feature != "Word",
        applicants=(inventor.company(foreign=foreign),),
        representatives=(inventor.agency(),) if foreign or random.random() < 0.4 else (),
    )
    return _completed(mark, random, filed, serial, foreign=foreign)


def _completed(mark: Mark, random: Random, filed: date, serial: int, *, foreign: bool) -> Mark:
    """Add what depends on the mark's history: publication, registration, priority, disclaimer."""
    dates = {event.code: event.date for event in mark.events}
    if published := dates.get("Published"):
        journal = f"{mark.office}-TMJ-{published[:4]}-{published[5:7]}"
        mark = replace(mark, publication=(journal, published))
    if registered := dates.get("Registered"):
        expiry = filed.replace(year=filed.year + TERM)
        number = f"{mark.office}{FIRST_SERIAL + serial}R"
        mark = replace(mark, registration=(number, registered, _iso(expiry)))
    if ended := dates.get("Rejected") or dates.get("Withdrawn"):
        mark = replace(mark, ended=ended)
    if foreign and random.random() < 0.4:
        country = mark.applicants[0].country
        claimed = _iso(filed - timedelta(days=30 + int(random.random() * 120)))
        mark = replace(mark, priorities=((country, f"{claimed[:4]}-9{serial:05d}", claimed),))
    if mark.words and random.random() < 0.1:
        text = "No exclusive right is claimed to the generic words of the mark."
        mark = replace(mark, disclaimers=((text, "en"),))
    return mark


def words_only(mark: Mark) -> Mark:
    """Return the mark as a word mark, for deliveries that carry no pictures."""
    words = mark.words or ((f"MARK {mark.folder}", "en"),)
    return replace(mark, feature="Word", image=False, vienna=(), words=words)
