"""Query parameters: what is not understood is refused, never ignored."""

import datetime as dt

import pytest

from api.parameters import (
    FILTERS,
    MAX_QUERY_BYTES,
    MAX_VALUE_CHARACTERS,
    MAX_VALUES,
    available_fields,
    filter_classes,
    read_fields,
    read_filters,
    read_limit,
    read_query,
)
from connectors.serving_store import Filters
from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure, Right, load_tables


@pytest.mark.parametrize(
    ("query", "expected"),
    [(b"", {}), (b"a=1&b=", {"a": "1", "b": ""}), (b"a=%E1%9E%80+x", {"a": "ក x"})],
)
def test_queries_are_read(query: bytes, expected: dict[str, str]) -> None:
    assert read_query(query, allowed=frozenset("ab")) == expected


@pytest.mark.parametrize(
    "query", [b"c=1", b"a=1&a=1", b"a=%ff", b"a=\xe1\x9e\x80", b"a=" + b"1" * 20_000, b"A=1"]
)
def test_other_queries_are_refused(query: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_query(query, allowed=frozenset("ab"))


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_query(b"<script>=1", allowed=frozenset("a"))
    assert "script" not in caught.value.detail


@pytest.mark.parametrize(("text", "limit"), [(None, 100), ("1", 1), ("1000", 1000), ("007", 7)])
def test_limits(text: str | None, limit: int) -> None:
    assert read_limit({} if text is None else {"limit": text}) == limit


@pytest.mark.parametrize(
    "text", ["", "0", "1001", "-1", "1.0", "\u0661", "៥", "1e2", " 5", "9" * 50, "9" * 5_000]
)
def test_other_limits_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 1000"):
        read_limit({"limit": text})


def test_filters_are_read() -> None:
    values = {
        "applicationNumber": "KH/1",
        "applicationDateFrom": "2024-01-31",
        "applicationDateTo": "2024-02-29",
        "registrationNumber": "R 1",
        "status": "filed, registered,",
        "niceClass": "5,35",
        "ipc": "A61K",
        "locarnoClass": "14-03",
        "q": "phở",
        "limit": "5",
        "cursor": "x",
    }
    assert read_filters(values, Right.TRADEMARKS) == Filters(
        applicationNumber="KH/1",
        applicationDateFrom=dt.date(2024, 1, 31),
        applicationDateTo=dt.date(2024, 2, 29),
        registrationNumber="R 1",
        status=("filed", "registered"),
        symbols={"nice": ("5", "35"), "ipc": ("A61K",), "locarno": ("14-03",)},
        q="phở",
    )


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("text", ["", "  ", "x" * 201])
def test_empty_and_endless_values_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        read_filters({name: text}, Right.TRADEMARKS)


@pytest.mark.parametrize(
    "text", ["2024-02-30", "20240101", "2024-W01-1", "2024-1-1", "២០២៤-០១-០១", "yesterday"]
)
def test_other_dates_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="YYYY-MM-DD"):
        read_filters({"applicationDateFrom": text}, Right.PATENTS)


@pytest.mark.parametrize("text", [",", ",".join("abcdefghijklmnopqrstuvwxyz")])
def test_too_many_values_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="status"):
        read_filters({"status": text}, Right.PATENTS)


def test_the_last_of_everything_is_taken() -> None:
    assert read_query(b"a=" + b"1" * (MAX_QUERY_BYTES - 2), allowed=frozenset("a"))
    longest = "x" * MAX_VALUE_CHARACTERS
    assert read_filters({"q": longest}, Right.PATENTS).q == longest
    most = ("A61K",) * MAX_VALUES
    assert read_filters({"ipc": ",".join(most)}, Right.PATENTS).symbols == {"ipc": most}


def test_white_space_counts_as_characters() -> None:
    with pytest.raises(InvalidRequest, match="q: 2 to 200"):
        read_filters({"q": "xy" + " " * MAX_VALUE_CHARACTERS}, Right.PATENTS)


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("status", "nonsense", "registered"),
        ("status", "filed,nonsense", "registered"),
        ("status", "0filed", "registered"),
        ("niceClass", "99", "45"),
        ("niceClass", "0", "1, 2, 3"),
        ("niceClass", "5,x", "1, 2, 3"),
        ("niceClass", "\u17e5", "1, 2, 3"),
        ("q", "k", "2 to 200"),
        ("q", "\u200b\u200b", "2 to 200"),  # word breaks alone are in no word and in every record
        ("q", "\u0301\u0301\u0301", "2 to 200"),
    ],
)
def test_a_word_no_record_can_have_is_refused(name: str, text: str, known: str) -> None:
    with pytest.raises(InvalidRequest, match=known) as caught:
        read_filters({name: text}, Right.TRADEMARKS)
    assert "nonsense" not in caught.value.detail


def test_words_are_known_in_any_case() -> None:
    filters = read_filters({"status": "Filed", "niceClass": "05"}, Right.TRADEMARKS)
    assert (filters.status, filters.symbols["nice"]) == (("Filed",), ("05",))


def test_a_choice_of_fields() -> None:
    allowed = frozenset({Disclosure.CORE, Disclosure.DOCUMENTS})
    every = available_fields(Right.PATENTS, allowed)
    assert read_fields({}, Right.PATENTS, allowed) == every
    assert read_fields({"fields": ",".join(every)}, Right.PATENTS, allowed) == every
    asked = {"fields": "titles, applicationDate,"}
    chosen = {"recordId", "titles", "applicationDate"}
    assert read_fields(asked, Right.PATENTS, allowed) == chosen
    # Withheld, of another right, never heard of: there is no difference.
    for name in ("applicants", "markKind", "nonsense"):
        assert read_fields({"fields": f"titles,{name}"}, Right.PATENTS, allowed) is None
    with pytest.raises(InvalidRequest, match="fields"):
        read_fields({"fields": " ,"}, Right.PATENTS, allowed)


@pytest.mark.parametrize("right", Right)
def test_every_filter_has_the_class_of_its_field(right: Right) -> None:
    classes = {field.name: field.disclosure for field in load_tables()[right].fields}
    filters = filter_classes(right)
    assert filters["status"] is Disclosure.STATUS_CHANGE
    for name, disclosure in filters.items():
        assert classes[FILTERS[name].fields[right]] is disclosure
    # Whatever else they look at, words and numbers of core are for everyone.
    assert {filters[name] for name in filters if name != "status"} == {Disclosure.CORE}


def test_filters_of_another_right_are_unknown() -> None:
    assert "niceClass" not in filter_classes(Right.PATENTS)
    assert "ipc" not in filter_classes(Right.TRADEMARKS)
    assert "locarnoClass" in filter_classes(Right.DESIGNS)
