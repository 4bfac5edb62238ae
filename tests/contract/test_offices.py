"""The office profiles as data: they load, their words lead to the table, their numbers match."""

import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import yaml

from ipregister import offices, profiles, strict_yaml
from ipregister.deliveries import Kind
from ipregister.errors import ConfigurationError
from ipregister.identifiers import derive_st13, is_language
from ipregister.mapping import mapping_for
from ipregister.model import Right, load_tables
from ipregister.steps import folded

FOLDER = Path(__file__).parents[2] / "offices"
FILES = sorted(FOLDER.rglob("*.yaml"))
OFFICES = ["BN", "ID", "KH", "LA", "MM", "MY", "PH", "SG", "TH", "TL", "VN"]
SENT = [(code, right) for code in OFFICES for right in profiles.load_profile(code).rights]
TM, PT, DS = Right.TRADEMARKS, Right.PATENTS, Right.DESIGNS

# Numbers seen from each office, and numbers that are not theirs; "|" stands between two.
SHAPES = {
    ("BN", TM): ("2227", "BN/2227"),
    ("ID", TM): (
        "M0020191466446 | M0020191466446-11 | M0020191466446_A | D002009034362 | "
        "JID2019045707 | DID2017000184",
        "2019045707 | M00",
    ),
    ("KH", TM): (
        "KH/49703/13 | KH/49703/2013 | KH/1071853A/M | KH/673426/M | KH/G/2018/5 | KH/G/2018/15",
        "49703/13 | KH/M/ | KH/D/2019/00125",
    ),
    ("LA", TM): ("11858 | M/1421805", "LA11858 | I/12"),
    ("MY", TM): (
        "2012051842 | 08021824 | 99001877 | TM2019011877 | M/031842 | "
        "R/021842 | MB061818 | 83/01818",
        "TM/2019 | PI2019000123",
    ),
    ("PH", TM): (
        "PH/4/1981/00000115 | PH4198100000115 | PH4199800004477 | PHM000101573483 | "
        "PH/M/0001/01573483 | AM000101573483 | BM000101573483",
        "PH/3/2011/000001 | 4/1981/00000115",
    ),
    ("VN", TM): (
        "4-2019-11818 | A-1-2019-11818 | B-1-2019-11818 | MD-4-2019-11818 | "
        "VN-4-2019-11818 | 4201911818",
        "3-2019-00012 | 11818",
    ),
    ("BN", DS): ("BN/2015/12", "12"),
    ("ID", DS): ("A00201800076 | AID2018000076", "D002009034362"),
    ("KH", DS): ("KH/D/2019/00125", "KH/49703/13"),
    ("LA", DS): ("I/123", "123"),
    ("MY", DS): ("UK(E) 02-0380 | 02-E0380-0101", "2012051842"),
    ("PH", DS): ("PH/3/2011/000001 | A/3/1994/009794 | PH/3/0/000123", "PH/4/1981/00000115"),
    ("SG", DS): ("D210025 | DU210025 | 30202110025U", "40201912345X"),
    ("VN", DS): ("3-2019-00012", "4-2019-11818"),
    ("ID", PT): ("P00201901234 | PID2019001234 | S00201901234 | SID2019001234", "AID2018000076"),
    ("PH", PT): ("1/2019/050123 | 2/2019/050123", "3/2011/000001"),
    ("VN", PT): ("1-2019-01234 | 2-2019-01234", "3-2019-00012"),
}

FILED = date(2020, 5, 6)
ST13 = [
    # Numbers with other shapes and the same digits collide: a rule reports them, nothing is lost.
    ("ID", TM, "M0020191466446-11", "ID502019146644611"),
    ("ID", TM, "M00201914664461-1", "ID502019146644611"),
    ("ID", TM, "JID2019045707", "ID502019000045707"),
    ("ID", TM, "M0020191466446_A", None),
    ("MY", TM, "08021824", "MY502008000021824"),
    ("MY", TM, "99001877", "MY501999000001877"),
    ("MY", TM, "MB061818", "MY502020000061818"),
    ("MY", TM, "TM2019011877", "MY502019000011877"),
    ("MY", TM, "2019011877", "MY502019000011877"),
    ("VN", TM, "4-2019-11818", "VN502019000011818"),
    ("VN", TM, "VN-4-2019-11818", "VN502019000011818"),
    ("VN", TM, "MD-4-2019-11818", "VN502019000011818"),
    ("VN", TM, "A-1-2019-11818", "VN502019000011818"),
    ("VN", TM, "4201911818", "VN502019000011818"),
    ("PH", TM, "PHM000101573483", "PH502020001573483"),
    ("PH", TM, "PH/M/0001/01573483", "PH502020001573483"),
    ("PH", TM, "AM000101573483", "PH502020001573483"),
    ("PH", TM, "BM000101573483", "PH502020001573483"),
    ("PH", TM, "PH/4/1981/00000115", "PH501981000000115"),
    ("PH", TM, "PH4198100000115", "PH501981000000115"),
    ("PH", DS, "PH/3/0/000123", "PH702020000000123"),
    ("LA", TM, "11858", "LA502020000011858"),
    ("LA", TM, "M/1421805", "LA502020001421805"),
    ("KH", TM, "KH/G/2018/5", "KH522018000000005"),
    ("KH", TM, "KH/G/2018/15", "KH522018000000015"),
    ("KH", TM, "KH/49703/13", "KH502013000049703"),
    ("KH", TM, "KH/49703/2013", "KH502013000049703"),
    ("KH", TM, "KH/1071853A/M", None),
    ("VN", PT, "2-2019-01234", "VN202019000001234"),
    ("SG", DS, "30202110025U", "SG702021000010025"),
]


class RefusingTwice(yaml.SafeLoader):
    """A loader of our own, so that the one under test is not its own judge."""

    def construct_mapping(self, node, deep=False):
        keys = Counter(key.value for key, _ in node.value)
        assert keys.total() == len(keys), (
            f"{node.start_mark}: {keys.most_common(1)[0][0]} stands there twice"
        )
        return super().construct_mapping(node, deep)


def test_there_are_eleven_originating_offices():
    found = offices.originating_offices()
    assert [office.code for office in found] == OFFICES
    assert all(office.languages and all(map(is_language, office.languages)) for office in found)
    assert {right for office in found for right in office.rights} == set(Right)


def test_folders_are_those_of_the_exchange():
    cambodia = next(office for office in offices.originating_offices() if office.code == "KH")
    assert cambodia.account == "ipob_kh"
    assert cambodia.folder(TM, Kind.UPDATE) == "/ipob_kh/Trademarks/Updates"
    assert cambodia.folder(PT, Kind.FULL_EXTRACTION) == "/ipob_kh/Patents/Full_Extraction"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_key_stands_twice_in_a_file(path):
    assert yaml.load(path.read_text("utf-8"), RefusingTwice)


def test_the_loader_refuses_a_key_written_twice():
    with pytest.raises(yaml.YAMLError, match="status"):
        strict_yaml.load("status: {Filed: filed}\nstatus: {}")


@pytest.mark.parametrize(("code", "right"), SENT)
def test_every_format_compiles_against_its_table(code, right):
    assert mapping_for(code, right).table.name == right


@pytest.mark.parametrize(("code", "right"), SENT)
def test_every_word_leads_to_a_value_of_the_table(code, right):
    format = profiles.load_profile(code).format_of(right)
    members = {path: member for path, member, _ in load_tables()[right].paths()}
    for route in format.route:
        members |= {f"{route.source}.{m.name}": m for m in members[route.otherwise].fields}
        assert bool(route.by) == bool(route.to)
        if not route.by:  # all of it goes to one list
            continue
        member = f"{route.source}.{route.by}"
        assert set(route.to) <= set(members[member].values)
        written = set().union(*(values for target, values in targets(format) if target == member))
        assert written <= set(route.to) | {"other", "unknown"}
        assert {members[target].type for target in route.to.values()} <= {"list"}
    for target, values in targets(format):
        allowed = members[target].values
        assert not allowed or values <= set(allowed), f"{code} {right} {target}"


def targets(format):
    """Yield canonical paths with the constant values the format may put there."""
    for entry in (entry for entries in format.elements.values() for entry in entries):
        for name, value in entry.set.items():
            yield f"{entry.item}.{name}", {value}
        if entry.field and entry.vocabulary:
            extra = {entry.unmapped} if entry.unmapped else set()
            yield entry.field, {*format.vocabularies[entry.vocabulary].values(), *extra}
    for derivation in format.derive:
        if derivation.value:
            yield derivation.field, {derivation.value}
        elif derivation.vocabulary:
            yield derivation.field, set(format.vocabularies[derivation.vocabulary].values())


@pytest.mark.parametrize(("code", "right"), SENT)
def test_every_status_has_a_group(code, right):
    format = profiles.load_profile(code).format_of(right)
    statuses = set().union(*(values for name, values in targets(format) if name == "status"))
    assert statuses
    assert statuses <= set(format.vocabularies["statusGroup"])


@pytest.mark.parametrize(("code", "right"), SENT)
def test_no_word_has_two_meanings(code, right):
    for name, words in profiles.load_profile(code).format_of(right).vocabularies.items():
        meanings: dict[str, str] = {}
        for word, value in words.items():
            assert meanings.setdefault(folded(word), value) == value, f"{code} {name}: {word}"


@pytest.mark.parametrize(("code", "right"), SENT)
def test_patterns_know_only_ascii_digits_and_both_ends(code, right):
    format = profiles.load_profile(code).format_of(right)
    for pattern in (*format.number_shapes, *(shape.pattern for shape in format.st13)):
        assert r"\d" not in pattern
        assert pattern.startswith("^")
        assert pattern.endswith("$")
    for shape in format.st13:
        assert "serial" in re.compile(shape.pattern).groupindex
        assert shape.type in {TM: ("50", "52"), DS: ("70",), PT: ("10", "20")}[right]


@pytest.mark.parametrize(("code", "right"), SHAPES, ids=lambda value: str(value))
def test_numbers_seen_have_a_known_shape_and_others_do_not(code, right):
    known = re.compile("|".join(profiles.load_profile(code).format_of(right).number_shapes))
    good, bad = (numbers.split(" | ") for numbers in SHAPES[code, right])
    assert [number for number in good if not known.fullmatch(number)] == []
    assert [number for number in bad if known.fullmatch(number)] == []


@pytest.mark.parametrize(("code", "right", "number", "st13"), ST13)
def test_st13_of_the_numbers_seen(code, right, number, st13):
    shapes = profiles.load_profile(code).format_of(right).st13
    patterns = [(re.compile(shape.pattern), shape.type) for shape in shapes]
    assert derive_st13(code, patterns, number, FILED) == st13


@pytest.mark.parametrize("code", OFFICES)
def test_every_override_of_a_rule_has_an_owner(code):
    for override in profiles.load_profile(code).rules.values():
        assert override.owner
        assert override.reason.endswith(".")


def test_a_misspelt_key_of_a_profile_is_refused(monkeypatch):
    document = yaml.safe_load((FOLDER / "tl.yaml").read_text("utf-8")) | {"langauges": ["pt"]}
    load = profiles._load
    monkeypatch.setattr(
        profiles, "_load", lambda *path: document if path == ("tl.yaml",) else load(*path)
    )
    with pytest.raises(ConfigurationError, match="langauges"):
        profiles.load_profile.__wrapped__("TL")
