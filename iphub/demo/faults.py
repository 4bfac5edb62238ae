"""Faults planted on purpose in the demo registers, each with the rules that must find it.

Every fault was seen in real deliveries or is named by the quality rules. A fault changes the
facts of one plain record, or spoils its bytes, or leaves out its pictures. The list is data
(``faults.yaml``, shown in ``docs/demo.md``); where records end up in files is ``tree``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Generic, TypeVar
from unicodedata import normalize

import yaml

from iphub.demo.designs import Design
from iphub.demo.names import Party
from iphub.demo.patents import STATUSES, Patent
from iphub.demo.trademarks import Mark
from ipregister.model import Right

R = TypeVar("R", bound=Mark | Patent | Design)

THAI_DIGITS = str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙")


@dataclass(frozen=True, slots=True)
class Plant(Generic[R]):
    """One fault and where it goes: the ``place``-th record of an office, from 0.

    ``change`` gets the record and the first record of the office; ``spoil`` its XML bytes.
    """

    name: str
    office: str
    place: int
    rules: tuple[str, ...]
    what: str
    change: Callable[[R, R], R] | None
    spoil: Callable[[bytes], bytes] | None
    without_pictures: bool


def _goods(mark: Mark, number: str) -> Mark:
    return replace(mark, goods=((number, mark.goods[0][1]), *mark.goods[1:]))


def _tagged(mark: Mark, wrong: str) -> Mark:
    """Tag the local texts of a mark with a language code that is not one."""
    goods = tuple(
        (number, tuple((text, wrong if code != "en" else code) for text, code in texts))
        for number, texts in mark.goods
    )
    return replace(mark, goods=goods)


def _applicant(mark: Mark, **changes: object) -> Mark:
    return replace(mark, applicants=(replace(mark.applicants[0], **changes),))  # type: ignore[arg-type]


def _registered(mark: Mark, *, day: str = "", expiry: str = "", number: str = "") -> Mark:
    known_number, known_day, known_expiry = mark.registration
    return replace(
        mark, registration=(number or known_number, day or known_day, expiry or known_expiry)
    )


def _decomposed(mark: Mark) -> Mark:
    return _applicant(mark, names=((normalize("NFD", "Công ty TNHH Suối Ngọc Hạ"), "vi"),))


def _zero_width(mark: Mark) -> Mark:
    # Between Burmese letters a zero-width space is proper spelling; in a Latin word it hides.
    return _applicant(mark, names=(("Pela\u200bsana Trading Co., Ltd.", "en"),))


def _two_in_one(mark: Mark) -> Mark:
    names = (("Velmek Trading Co., Ltd.", "en"), ("Oddara Foods Co., Ltd.", "en"))
    return replace(mark, applicants=(Party(names, mark.office, mark.applicants[0].address),))


def _twice(mark: Mark) -> Mark:
    names = (("Pelasana Co., Ltd.", "my"), ("Pelasana Co., Ltd.", "en"))
    return replace(mark, applicants=(Party(names, mark.office, mark.applicants[0].address),))


def _unclosed(document: bytes) -> bytes:
    return document.replace(b"</ClassDescription>", b"", 1)


def _with_doctype(document: bytes) -> bytes:
    declared = b'<!DOCTYPE Transaction [<!ENTITY office "KH">]>\n<Transaction '
    changed = document.replace(b"<Transaction ", declared, 1)
    return changed.replace(b"Code>KH</Reg", b"Code>&office;</Reg", 1)


def _other_products(design: Design, **changes: object) -> Design:
    return replace(design, products=(replace(design.products[0], **changes),))  # type: ignore[arg-type]


MARK_CHANGES: dict[str, Callable[[Mark, Mark], Mark]] = {
    "registration_before_application": lambda mark, _: _registered(mark, day="2019-03-02"),
    "language_code_kh": lambda mark, _: _tagged(mark, "kh"),
    "language_code_la": lambda mark, _: _tagged(mark, "la"),
    "status_number": lambda mark, _: replace(mark, status="9644"),
    "placeholder": lambda mark, _: _registered(mark, number="-"),
    "duplicate_number": lambda mark, first: replace(mark, number=first.number),
    "buddhist_year": lambda mark, _: replace(
        mark, filed=f"{int(mark.filed[:4]) + 543}{mark.filed[4:]}"
    ),
    "thai_digits": lambda mark, _: _registered(
        mark, day=mark.registration[1].translate(THAI_DIGITS)
    ),
    "wrong_office": lambda mark, _: replace(mark, office="LA"),
    "nice_99": lambda mark, _: _goods(mark, "99"),
    "nice_0": lambda mark, _: _goods(mark, "0"),
    "expiry_before_registration": lambda mark, _: _registered(mark, expiry="2019-06-30"),
    "country_with_digit": lambda mark, _: _applicant(mark, country="TH1"),
    "missing_applicant": lambda mark, _: replace(mark, applicants=()),
    "two_applicants_in_one": lambda mark, _: _two_in_one(mark),
    "decomposed_text": lambda mark, _: _decomposed(mark),
    "word_without_words": lambda mark, _: replace(
        mark, feature="Word", words=(), translations=(), image=False, vienna=()
    ),
    "priority_after_filing": lambda mark, _: replace(
        mark, priorities=(("JP", "2019-990007", "2019-11-20"),)
    ),
    "unknown_feature": lambda mark, _: replace(mark, feature="Nhãn hiệu hình"),
    "zero_width": lambda mark, _: _zero_width(mark),
    "same_applicant_twice": lambda mark, _: _twice(mark),
}

_NEVER_PUBLISHED: dict[str, Any] = {
    "status": STATUSES["withdrawn"],
    "publication": ("", ""),
    "grant": ("", ""),
    "examination": "",
}

PATENT_CHANGES: dict[str, Callable[[Patent, Patent], Patent]] = {
    "patent_without_title": lambda patent, _: replace(patent, titles=()),
    "malformed_ipc": lambda patent, _: replace(patent, symbols=("H02-S/20.32", *patent.symbols)),
    "patent_priority_after_filing": lambda patent, _: replace(
        patent, priorities=(("KR", "2018-990003", "2018-12-24"),)
    ),
    "never_published": lambda patent, _: replace(
        patent, **_NEVER_PUBLISHED, withdrawn=f"{int(patent.filed[:4]) + 1}{patent.filed[4:]}"
    ),
}

DESIGN_CHANGES: dict[str, Callable[[Design, Design], Design]] = {
    "design_without_locarno": lambda design, _: _other_products(design, locarno=""),
    "malformed_locarno": lambda design, _: _other_products(design, locarno="77-1A"),
    "design_total": lambda design, _: replace(design, total="4"),
}

SPOILED = {"unreadable_member": _unclosed, "doctype": _with_doctype}
WITHOUT_PICTURES = frozenset({"missing_picture", "missing_views"})

LEAST_RECORDS = 24
"""Fewer records per office and right would not hold every fault above and the updates."""


def planted_marks(office: str) -> list[Plant[Mark]]:
    """Return the faults planted in the trade marks of one office."""
    return _planted(office, Right.TRADEMARKS, MARK_CHANGES)


def planted_patents(office: str) -> list[Plant[Patent]]:
    """Return the faults planted in the patents of one office."""
    return _planted(office, Right.PATENTS, PATENT_CHANGES)


def planted_designs(office: str) -> list[Plant[Design]]:
    """Return the faults planted in the designs of one office."""
    return _planted(office, Right.DESIGNS, DESIGN_CHANGES)


def _planted(
    office: str, right: Right, changes: Mapping[str, Callable[[R, R], R]]
) -> list[Plant[R]]:
    return [
        Plant(
            name=entry["name"],
            office=office,
            place=entry["place"],
            rules=tuple(entry["rules"]),
            what=entry["what"],
            change=changes.get(entry["name"]),
            spoil=SPOILED.get(entry["name"]),
            without_pictures=entry["name"] in WITHOUT_PICTURES,
        )
        for entry in _entries()[right]
        if entry["office"] == office
    ]


@cache
def _entries() -> Mapping[str, list[dict[str, Any]]]:
    document: dict[str, list[dict[str, Any]]] = yaml.safe_load(
        files("iphub.demo").joinpath("faults.yaml").read_text("utf-8")
    )
    return document
