"""The serving store: atomic, idempotent, and never a byte of a class that is not allowed."""

import datetime as dt
import re
import resource
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from connectors import serving_store
from connectors.serving import conditions, counting, reading, schema, streaming
from connectors.serving_store import Count, Filters, Publication, ServingRow, ServingStore
from ipregister.authorizations import Grant
from ipregister.errors import ConfigurationError, SearchTooSlow
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

TM = Right.TRADEMARKS
AT = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
CORE, ALL = Grant(frozenset({Disclosure.CORE})), Grant(frozenset(Disclosure))
WITHHOLDABLE = [name for name in Disclosure if name is not Disclosure.CORE]
MASKS = [
    ALL.allowed - set(held) for count in range(5) for held in combinations(WITHHOLDABLE, count)
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ServingStore]:
    store = ServingStore(tmp_path / "serving.sqlite")
    yield store
    store.close()


def row(
    record_id: str, values: Mapping[Disclosure, str] | None = None, **more: object
) -> ServingRow:
    values = {Disclosure.CORE: "c", **(values or {})}
    fragments = {name: f',"{name}":"{text}"'.encode() for name, text in values.items()}
    fragments[Disclosure.CORE] = b'{"recordId":"%b"%b' % (
        record_id.encode(),
        fragments[Disclosure.CORE],
    )
    plain: dict[str, object] = {"sortKey": f"KH/{record_id}", "changeSeq": 1} | more
    return ServingRow(recordId=record_id, fragments=fragments, **plain)  # type: ignore[arg-type]


def delivery(number: int, *rows: ServingRow, gone: tuple[str, ...] = ()) -> Publication:
    vanished = [(record_id, number) for record_id in gone]
    return Publication(f"KH-{number}", "KH", TM, AT, rows, vanished)


@pytest.mark.parametrize("allowed", MASKS, ids=lambda mask: "+".join(sorted(mask)))
def test_a_record_is_its_allowed_fragments(
    store: ServingStore, allowed: frozenset[Disclosure]
) -> None:
    store.publish(delivery(1, row("a", {name: f"secret {name}" for name in Disclosure})))
    body = store.record("KH", TM, "a", Grant(allowed))
    assert body is not None
    expected = {"recordId": "a"} | {str(n): f"secret {n}" for n in Disclosure if n in allowed}
    assert msgspec.json.decode(body) == expected
    page = store.page("KH", TM, Grant(allowed), Filters(), limit=10)
    assert (page.bodies, page.last) == ([body], None)


def test_a_damaged_file_is_said_to_be_rebuilt(tmp_path: Path) -> None:
    damaged = tmp_path / "serving.sqlite"
    damaged.write_bytes(b"no database" * 1_000)
    with pytest.raises(ConfigurationError, match=r"is damaged.*iphub rebuild-serving"):
        ServingStore(damaged).totals()


def test_the_same_delivery_twice_is_once(store: ServingStore) -> None:
    store.publish(delivery(1, row("a")))
    store.publish(delivery(1, row("a", {Disclosure.CORE: "other"}), row("b")))
    assert store.totals() == {("KH", TM): 1}
    assert store.record("KH", TM, "a", CORE) == b'{"recordId":"a","core":"c"}'


def test_a_publication_that_fails_leaves_nothing(store: ServingStore) -> None:
    store.publish(delivery(1, row("a")))

    def rows() -> Iterator[ServingRow]:
        for number in range(3_000):
            yield row(f"r{number}")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        store.publish(Publication("KH-2", "KH", TM, AT, rows(), [("a", 2)]))
    assert store.totals() == {("KH", TM): 1}
    assert store.record("KH", TM, "a", CORE) is not None
    store.publish(delivery(2, row("b"), gone=("a",)))
    assert store.record("KH", TM, "a", CORE) is None
    assert store.is_gone("KH", TM, "a", ALL)
    assert not store.is_gone("KH", TM, "b", ALL)
    assert not store.is_gone("KH", TM, "never", ALL)


def test_a_publication_that_has_no_room_at_its_commit_says_so(store: ServingStore) -> None:
    store.publish(delivery(1, row("a")))
    most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(sqlite3.OperationalError, match=r"disk I/O error|disk is full"):
            store.publish(
                delivery(2, row("b")),
                lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard)),
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    assert store.totals() == {("KH", TM): 1}
    store.publish(delivery(2, row("b")))
    assert store.totals() == {("KH", TM): 2}


def test_a_record_of_another_space_is_not_found(store: ServingStore) -> None:
    store.publish(delivery(1, row("a")))
    assert store.record("TH", TM, "a", ALL) is None
    assert store.record("KH", Right.PATENTS, "a", ALL) is None
    assert store.page("TH", TM, ALL, Filters(), limit=5).bodies == []


def test_pages_visit_every_record_once_in_order(store: ServingStore) -> None:
    names = [f"{number:03d}" for number in range(57)]
    store.publish(delivery(1, *[row(name, sortKey=f"KH/{name[:2]}") for name in reversed(names)]))
    seen, after = [], ("", "")
    while True:
        page = store.page("KH", TM, CORE, Filters(), after=after, limit=10)
        seen += [msgspec.json.decode(body)["recordId"] for body in page.bodies]
        if page.last is None:
            break
        after = page.last
    assert seen == names


FILTERED = [
    (Filters(applicationNumber="kh/ 1/24"), {"one"}),
    (Filters(applicationDateFrom=dt.date(2024, 1, 1)), {"one", "two"}),
    (Filters(applicationDateTo=dt.date(2024, 6, 1)), {"one", "old"}),
    (
        Filters(applicationDateFrom=dt.date(2024, 1, 1), applicationDateTo=dt.date(2024, 6, 1)),
        {"one"},
    ),
    (Filters(registrationNumber="r-7"), {"old"}),
    (Filters(status=("filed",)), {"one", "two"}),
    (Filters(status=("registered", "filed")), {"one", "two", "old"}),
    (Filters(symbols={"nice": ("5",)}), {"one"}),
    (Filters(symbols={"nice": ("05",)}), {"one"}),
    (Filters(symbols={"nice": ("5", "35")}), {"one", "two"}),
    (Filters(symbols={"nice": ("35",)}, status=("filed",)), {"two"}),
    (Filters(symbols={"nice": ("35",)}, status=("registered", "filed")), {"two"}),
    (Filters(symbols={"nice": ("35",)}, status=("file",)), set()),
    (Filters(symbols={"nice": ("35",), "locarno": ("14",)}), {"two"}),
    (Filters(symbols={"nice": ("35",), "locarno": ("4",)}), set()),
    (Filters(symbols={"locarno": ("14", "15")}, status=("filed",)), {"two"}),
    (Filters(symbols={"ipc": ("A61K",)}), {"old"}),
    (Filters(symbols={"ipc": ("A61",)}, status=("filed",)), set()),
    (Filters(symbols={"locarno": ("14",)}), {"two"}),
    (Filters(q="pho"), {"one"}),
    (Filters(q="PHỞ  bắc"), {"one"}),
    (Filters(q="កម្ពុជា"), {"two"}),
    (Filters(q="100%"), {"old"}),
    (Filters(q="กิ"), set()),  # "กี่" is another vowel
    (Filters(q="กี่"), {"old"}),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERED)
def test_filters_find_what_they_say(
    store: ServingStore, filters: Filters, expected: set[str]
) -> None:
    store.publish(
        delivery(
            1,
            row(
                "one",
                applicationNumber="KH/1/24",
                applicationDate=dt.date(2024, 5, 1),
                status="filed",
                classes=(("nice", "5"),),
                searchText="Phở Bắc",
            ),
            row(
                "two",
                applicationNumber="KH/2/24",
                applicationDate=dt.date(2024, 7, 1),
                status="filed",
                classes=(("nice", "35"), ("locarno", "14-03")),
                searchText="ព្រះរាជាណាចក្រ\u200bកម្ពុជា",
            ),
            row(
                "old",
                applicationDate=dt.date(1999, 7, 1),
                registrationNumber="R-7",
                status="registered",
                classes=(("ipc", "A61K 31/00"),),
                searchText="กี่ 100% cotton",
            ),
        )
    )
    bodies = store.page("KH", TM, CORE, filters, limit=10).bodies
    assert {msgspec.json.decode(body)["recordId"] for body in bodies} == expected


LOCARNO = ["14-03", "14-1", "2-02", "20-01", "06-01", "06-10"]
SYMBOLS = {
    "nice": (("1",), ("1", "2"), ("03", "1", "3", "2"), ("9",)),
    "locarno": (
        ("14",),
        ("14", "02"),
        ("14-03", "14"),
        ("2",),
        ("06-01", "20"),
        ("6-1",),
        ("06-",),
    ),
    "status": (("filed",), ("filed", "ended"), ("ended", "registered", "filed", "filed")),
}


@pytest.mark.parametrize("gathered", [0, 10_000])
def test_pages_of_any_symbols_have_each_record_once_in_order(
    store: ServingStore, gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "MAX_GATHERED", gathered)
    chance = Random(5)
    rows = {}
    for number in range(120):
        nice = chance.sample(["1", "2", "3", "4"], chance.randrange(4))
        locarno = chance.sample(LOCARNO, chance.randrange(3))
        rows[f"{number:03}"] = row(
            f"{number:03}",
            sortKey=f"KH/{chance.randrange(30):02}",
            status=chance.choice(["filed", "registered", "ended", ""]),
            classes=(*(("nice", c) for c in nice), *(("locarno", c) for c in locarno)),
            applicationDate=dt.date(2000 + number % 3, 1, 1),
        )
    store.publish(delivery(1, *rows.values()))
    store.publish(delivery(2, gone=("007", "070")))
    del rows["007"], rows["070"]

    def fits(of: ServingRow, scheme: str, symbols: tuple[str, ...]) -> bool:
        if scheme == "status":
            return of.status in symbols
        filed = [symbol for name, symbol in of.classes if name == scheme]
        if scheme == "nice":
            return any(symbol.lstrip("0") in filed for symbol in symbols)
        asked = [[int(part) for part in symbol.split("-") if part] for symbol in symbols]
        return any([int(n) for n in f.split("-")][: len(a)] == a for a in asked for f in filed)

    choices = [(), *((name, symbols) for name, of in SYMBOLS.items() for symbols in of)]
    for one, other in product(choices, choices):
        asked = dict(filter(None, (one, other)))
        status = asked.pop("status", ())
        filters = Filters(status=status, symbols=asked, applicationDateTo=dt.date(2001, 6, 1))
        wanted = asked | ({"status": status} if status else {})
        expected = sorted(
            (of.sortKey, name)
            for name, of in rows.items()
            if of.applicationDate is not None
            and of.applicationDate.year < 2002
            and all(fits(of, *each) for each in wanted.items())
        )
        names = [name for _, name in expected]
        for descending in (False, True):
            found, after = [], ("", "")
            while True:
                page = store.page(
                    *("KH", TM, CORE, filters), after=after, limit=7, descending=descending
                )
                found += page.records
                bodies = [msgspec.json.decode(body)["recordId"] for body in page.bodies]
                assert bodies == page.records
                if page.last is None:
                    break
                after = page.last
            assert found == (names[::-1] if descending else names), filters
        for count in (Count.EXACT, Count.ESTIMATE):  # there are fewer than an estimate looks at
            page = store.page("KH", TM, CORE, filters, limit=1, count=count)
            assert page.count == len(names), filters


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(status=("filed",)),
        Filters(status=("filed", "ended")),
        Filters(symbols={"nice": ("5", "35")}, status=("filed", "ended")),
        Filters(symbols={"nice": ("5",), "locarno": ("14",)}),
    ],
)
@pytest.mark.parametrize("descending", [False, True])
def test_no_page_gathers_what_grows_with_the_register(
    store: ServingStore, filters: Filters, *, descending: bool
) -> None:
    store.publish(delivery(1, row("a")))
    connection = schema.connect(store.path, writer=False)
    statement, values = reading.page_statement(
        *(connection, 1, 1, filters, ("", "")), descending=descending
    )
    plan = [
        step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", (*values, 1))
    ]
    connection.close()
    assert plan
    assert not [step for step in plan if re.search("SUBQUERY|TEMP B-TREE|SCAN", step)]
    if filters == Filters():  # what the order is walked by says all there is to look at
        assert "USING COVERING INDEX ix_record_order" in plan[0]


def test_an_estimate_is_a_share_of_those_that_come_first_by_identifier(
    store: ServingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SAMPLE", 10)
    names, statuses = [f"{number:02d}" for number in range(40)], {1: "filed"}
    rows = [row(n, status=statuses.get(int(n) % 5, "ended"), applicationNumber=n) for n in names]
    store.publish(delivery(1, *rows))
    store.publish(delivery(2, gone=("00", "06")))  # first are now 01 to 05, 07 to 11

    def told(filters: Filters) -> list[int | None]:
        pages = [store.page("KH", TM, CORE, filters, limit=3, count=wanted) for wanted in Count]
        return [page.count for page in pages]

    assert list(Count) == ["exact", "estimate", "none"]
    assert told(Filters(status=("filed",))) == [7, round(38 * 2 / 10), None]
    assert told(Filters(applicationNumber="17")) == [1, 1, None]
    assert told(Filters()) == [38, 38, None]
    assert told(Filters(status=("nonsense",))) == [0, 0, None]


def test_an_updated_record_is_filed_under_its_new_words_only(store: ServingStore) -> None:
    first = row("a", status="filed", classes=(("nice", "5"),), searchText="old word")
    second = row("a", status="registered", classes=(("nice", "9"),), searchText="new word")
    store.publish(delivery(1, first))
    store.publish(delivery(2, second))

    def found(filters: Filters) -> int:
        return len(store.page("KH", TM, CORE, filters, limit=10).bodies)

    for number, (status, nice, word) in enumerate(
        [("filed", "5", "old"), ("registered", "9", "new")]
    ):
        assert found(Filters(status=(status,))) == number
        assert found(Filters(symbols={"nice": (nice,)})) == number
        assert found(Filters(q=word)) == number
    store.publish(delivery(3, gone=("a",)))
    assert found(Filters(status=("registered",))) == found(Filters()) == 0


def test_records_are_filed_the_same_whether_the_store_knows_one_of_them_or_none(
    tmp_path: Path,
) -> None:
    """A batch of new records is inserted as it is, any other is compared record by record."""
    known = row("known", status="filed")
    new = [
        row(
            f"{number:04d}",
            {name: "x" for name in WITHHOLDABLE if number % (len(name) + 1)},
            changeSeq=10 + number,
            sortKey=f"KH/{999 - number}",
            applicationNumber=f"kh/ {number}",
            applicationDate=dt.date(2020, 1, 1 + number % 28) if number % 3 else None,
            registrationNumber=f"r {number}" if number % 5 else None,
            status=("filed", "registered", None)[number % 3],
            published=number % 2 == 0,
            kind="individual" if number % 4 else None,
            classes=tuple(("nice", f"0{symbol}") for symbol in range(number % 4)),
            searchText=f"Phở {number}",
        )
        for number in range(50)
    ]
    stores = [ServingStore(tmp_path / f"{name}.sqlite") for name in ("inserted", "compared")]
    for store, second in zip(stores, ([*new], [*new, known]), strict=True):
        store.publish(delivery(1, known))
        store.prepare("KH", TM, replace(CORE, rule=RowRule(publishedOnly=True)))
        store.publish(delivery(2, *second))
        store.close()
    inserted, compared = (contents(store.path) for store in stores)
    assert inserted == compared
    assert len(inserted["fragment"]) == 51


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as store:
        names = store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {name: sorted(store.execute(f"SELECT * FROM {name}"), key=repr) for (name,) in names}


@pytest.mark.parametrize("name", ["applicationNumber", "registrationNumber"])
def test_a_record_with_another_number_is_found_under_that_alone(
    store: ServingStore, name: str
) -> None:
    for number, value in enumerate(["KH/1", "KH/1", "KH/2", None, "KH/2"], start=1):
        more = {name: value, "sortKey": f"KH/{value}", "searchText": f"word{number}"}
        store.publish(delivery(number, row("a", **more)))
        for asked in ("KH/1", "KH/2"):
            page = store.page("KH", TM, CORE, Filters(**{name: asked}), limit=2)  # type: ignore[arg-type]
            assert len(page.bodies) == (asked == value)
        assert len(store.page("KH", TM, CORE, Filters(q=f"word{number}"), limit=2).bodies) == 1


def test_other_threads_read_too(store: ServingStore) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store.publish(delivery(1, row("a")))
    with ThreadPoolExecutor(2) as pool:
        bodies = list(pool.map(lambda _: store.record("KH", TM, "a", CORE), range(8)))
    assert len(set(bodies)) == 1


def test_a_reading_is_of_one_state(store: ServingStore) -> None:
    numbers = [f"r{number:04d}" for number in range(streaming.PIECE + 10)]
    store.publish(delivery(1, *[row(number) for number in numbers]))
    opened = store.reading("KH", TM, ALL, Filters())
    first = opened.read()
    store.publish(delivery(2, row("r9999"), gone=("r0509",)))
    second = opened.read()
    assert first is not None
    assert second is not None
    assert first.records + second.records == numbers
    assert [
        msgspec.json.decode(body)["recordId"] for body in first.bodies + second.bodies
    ] == numbers
    assert opened.read() is None
    opened.close()


def test_a_search_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    hasty = ServingStore(tmp_path / "serving.sqlite", search_seconds=0)
    hasty.publish(delivery(1, *(row(f"{number:04}") for number in range(1_000))))
    assert len(hasty.page("KH", TM, ALL, Filters(), limit=3).bodies) == 3
    with pytest.raises(SearchTooSlow, match="Narrow it"):
        hasty.page("KH", TM, ALL, Filters(q="not there"), limit=3)
    assert len(hasty.page("KH", TM, ALL, Filters(), limit=3).bodies) == 3
    hasty.close()


ASKED = {
    "a page": lambda store: store.page("KH", TM, ALL, Filters(), limit=9).records,
    "a stream": lambda store: read_all(store.reading("KH", TM, ALL, Filters())),
    "a number": lambda store: ["ofKH"] * store.count("KH", TM, ALL),
    "a place": lambda store: [store.place("KH", TM, ALL).state],
    "a removal": lambda store: ["ofKH"] * store.is_gone("KH", TM, "left", ALL),
}


def read_all(opened: streaming.Reading) -> list[str]:
    with closing(opened):
        return [record for piece in iter(opened.read, None) for record in piece.records]


@pytest.mark.parametrize("asked", ASKED)
def test_a_store_made_anew_meanwhile_gives_nothing_of_another_office(
    store: ServingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Its spaces have other numbers: one that was looked up just before is another office's."""

    def publish(into: ServingStore, office: str, *records: str, gone: tuple[str, ...] = ()) -> None:
        rows = [row(record) for record in records]
        made = delivery(1, *rows, gone=gone)
        into.publish(replace(made, deliveryId=f"of{office}{'-2' * bool(gone)}", office=office))

    with closing(ServingStore(tmp_path / "anew.sqlite")) as anew:
        publish(anew, "PH", "ofPH", "andPH")
        publish(anew, "KH", "ofKH", "left")
        publish(anew, "KH", gone=("left",))
    publish(store, "KH", "ofKH", "left")
    publish(store, "KH", gone=("left",))
    look_up = serving_store.located

    def put_in_place(*about: Any) -> int:
        number = look_up(*about)
        with (
            closing(sqlite3.connect(tmp_path / "anew.sqlite")) as made,
            closing(sqlite3.connect(store.path)) as target,
        ):
            made.backup(target)
        return number

    monkeypatch.setattr(serving_store, "located", put_in_place)
    expected = "ofKH-2" if asked == "a place" else "ofKH"
    assert ASKED[asked](store) == [expected]
