"""What happens to the invented records after the full extraction: changes and a withdrawal.

Each function takes the records of one office and returns new versions of a few of them, as
the office would send them in its updates of October 2026.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from iphub.demo.designs import Design
from iphub.demo.offices import DemoOffice
from iphub.demo.patents import STATUSES, Patent
from iphub.demo.trademarks import Event, Mark

R = TypeVar("R", bound=Mark | Patent | Design)

PUBLISHED, WITHDRAWN = "2026-10-05", "2026-10-14"
MOVED = "7 Invented Orchid Street, moved to another building"


def changed_marks(marks: Sequence[Mark], office: DemoOffice) -> list[Mark]:
    """Return a mark whose applicant moved, one whose goods were limited, one now published."""
    moved, limited = marks[1], marks[2]
    applicant = replace(moved.applicants[0], address=MOVED)
    goods = tuple((number, texts[:1]) for number, texts in limited.goods)
    pending = [mark for mark in marks[3:] if mark.status == office.statuses["filed"]]
    event = Event(PUBLISHED, "Published", "Publication", "44", "Journal published")
    return [
        replace(moved, applicants=(applicant,)),
        replace(limited, goods=goods),
        *(
            replace(
                mark,
                status=office.statuses["published"],
                status_date=PUBLISHED,
                publication=(f"{office.code}-TMJ-2026-10", PUBLISHED),
                events=(*mark.events, event),
            )
            for mark in pending[:1]
        ),
    ]


def withdrawn_mark(marks: Sequence[Mark], office: DemoOffice) -> list[Mark]:
    """Return the last pending mark, withdrawn by its applicant."""
    mark = _first(marks[:3:-1], office.statuses["filed"])
    event = Event(WITHDRAWN, "Withdrawn", "Withdrawal", "70", "Withdrawn by applicant")
    return [
        replace(
            mark,
            status=office.statuses["withdrawn"],
            status_date=WITHDRAWN,
            ended=WITHDRAWN,
            events=(*mark.events, event),
        )
    ]


def changed_patents(patents: Sequence[Patent], office: DemoOffice) -> list[Patent]:
    """Return a patent whose applicant moved and one application now granted."""
    moved = patents[1]
    pending = [patent for patent in patents[2:] if patent.status == STATUSES["published"]]
    return [
        replace(moved, applicants=(replace(moved.applicants[0], address=MOVED),)),
        *(
            replace(
                patent,
                status=STATUSES["granted"],
                grant=(f"{patent.publication[0]}P", PUBLISHED),
                examination=patent.publication[1],
            )
            for patent in pending[:1]
        ),
    ]


def withdrawn_patent(patents: Sequence[Patent], office: DemoOffice) -> list[Patent]:
    """Return the last published application, withdrawn by its applicant."""
    patent = _first(patents[:2:-1], STATUSES["published"])
    return [replace(patent, status=STATUSES["withdrawn"], withdrawn=WITHDRAWN)]


def changed_designs(designs: Sequence[Design], office: DemoOffice) -> list[Design]:
    """Return a design whose applicant moved and one with a better description."""
    moved, described = designs[1], designs[2]
    first = replace(described.products[0], description="An invented product, described again.")
    return [
        replace(moved, applicants=(replace(moved.applicants[0], address=MOVED),)),
        replace(described, products=(first, *described.products[1:])),
    ]


def withdrawn_design(designs: Sequence[Design], office: DemoOffice) -> list[Design]:
    """Return the last registered design, withdrawn."""
    design = _first(designs[:2:-1], "Registered")
    event = ("Design", "Withdrawn", WITHDRAWN)
    return [
        replace(design, status="Withdrawn", status_date=WITHDRAWN, events=(*design.events, event))
    ]


def _first(records: Sequence[R], status: str) -> R:
    """Return the first record of a status, or the first of all when there is none."""
    return next((record for record in records if record.status == status), records[0])
