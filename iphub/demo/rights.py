"""How the demo invents, changes and writes each of the three rights.

One entry per right, so that ``tree`` treats them alike. No facts and no bytes of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from iphub.demo import designs, faults, ipas_xml, patents, trademarks, updates
from iphub.demo.designs import Design
from iphub.demo.faults import Plant, R
from iphub.demo.names import Inventor
from iphub.demo.offices import DemoOffice
from iphub.demo.patents import Patent
from iphub.demo.trademarks import Mark
from ipregister.model import Right


@dataclass(frozen=True, slots=True)
class Making(Generic[R]):
    """How one right is made.

    ``invent`` takes inventor, office, serial number and whether the record must be plain;
    ``pictures`` names a record's picture files; ``plants`` gives the faults of an office;
    ``label`` stands in the file names; there is one record of this right for every ``share``
    trade marks.
    """

    right: Right
    label: str
    share: int
    invent: Callable[[Inventor, DemoOffice, int, bool], R]
    single: Callable[[R], bytes]
    several: Callable[[Sequence[R]], bytes]
    pictures: Callable[[R], Iterator[str]]
    plants: Callable[[str], list[Plant[R]]]
    change: Callable[[Sequence[R], DemoOffice], list[R]]
    withdraw: Callable[[Sequence[R], DemoOffice], list[R]]


def _mark(inventor: Inventor, office: DemoOffice, serial: int, plain: bool) -> Mark:
    mark = trademarks.invent(inventor, office, serial, plain=plain)
    # A single XML file has no room for pictures: such an office sends word marks.
    return trademarks.words_only(mark) if office.single_file else mark


def _patent(inventor: Inventor, office: DemoOffice, serial: int, plain: bool) -> Patent:
    return patents.invent(inventor, office, serial, plain=plain)


def _design(inventor: Inventor, office: DemoOffice, serial: int, plain: bool) -> Design:
    return designs.invent(inventor, office, serial, plain=plain)


def _logo(mark: Mark) -> Iterator[str]:
    if mark.image:
        yield "ATTACHMENT/logo.png"


def _no_pictures(_: Patent) -> Iterator[str]:
    yield from ()


def _views(design: Design) -> Iterator[str]:
    for product in design.products:
        yield from product.views


TRADEMARKS = Making(
    right=Right.TRADEMARKS,
    label="",
    share=1,
    invent=_mark,
    single=ipas_xml.single,
    several=ipas_xml.several,
    pictures=_logo,
    plants=faults.planted_marks,
    change=updates.changed_marks,
    withdraw=updates.withdrawn_mark,
)
PATENTS = Making(
    right=Right.PATENTS,
    label="PT_",
    share=3,
    invent=_patent,
    single=patents.single,
    several=patents.several,
    pictures=_no_pictures,
    plants=faults.planted_patents,
    change=updates.changed_patents,
    withdraw=updates.withdrawn_patent,
)
DESIGNS = Making(
    right=Right.DESIGNS,
    label="ID_",
    share=5,
    invent=_design,
    single=designs.single,
    several=designs.several,
    pictures=_views,
    plants=faults.planted_designs,
    change=updates.changed_designs,
    withdraw=updates.withdrawn_design,
)
