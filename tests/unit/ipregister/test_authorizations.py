"""The decision whether a third party may read, and the written form of authorizations."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, product

import pytest

from ipregister.authorization_forms import check_withheld, parse_withheld
from ipregister.authorizations import (
    WITHHOLDABLE,
    Authorization,
    Decision,
    Denied,
    Grant,
    Granted,
    Reason,
    check_office,
    decide,
)
from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

TODAY = date(2026, 3, 4)
MORNING = datetime(2026, 3, 3, 17, tzinfo=UTC)
"""When that day begins in Phnom Penh."""
DAY = timedelta(days=1)
ALL = frozenset(Disclosure)


def authorization(
    *rights: Right,
    withheld: Iterable[Disclosure] = (),
    since: date | None = None,
    until: date | None = None,
    office: str = "KH",
    third_party: str = "Ann",
) -> Authorization:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    grants = dict.fromkeys(rights, Grant(ALL - set(withheld)))
    decision = Decision(grants, validFrom=since, validUntil=until)
    return Authorization(office, third_party, 7, decision, at, "Sok")


def ask(*authorizations: Authorization) -> Granted | Denied:
    return decide(authorizations, third_party="Ann", office="KH", right=Right.PATENTS, at=MORNING)


SETS = [
    frozenset(chosen)
    for size in range(len(WITHHOLDABLE) + 1)
    for chosen in combinations(WITHHOLDABLE, size)
]


@pytest.mark.parametrize("withheld", SETS, ids=lambda names: "+".join(sorted(names)) or "nothing")
def test_what_is_not_withheld_is_granted(withheld: frozenset[Disclosure]) -> None:
    given = authorization(Right.PATENTS, withheld=withheld)
    assert ask(given) == Granted(Grant(ALL - withheld), 7)
    assert given.withheld(Right.PATENTS) == withheld


def test_without_an_authorization_nothing_is_granted() -> None:
    assert ask() == Denied(Reason.NO_AUTHORIZATION)


@pytest.mark.parametrize(("office", "third_party"), [("TH", "Ann"), ("KH", "Bob"), ("TH", "Bob")])
def test_the_authorization_of_another_pair_grants_nothing(office: str, third_party: str) -> None:
    other = authorization(Right.PATENTS, office=office, third_party=third_party)
    assert ask(other) == Denied(Reason.NO_AUTHORIZATION)
    mine = authorization(Right.PATENTS)
    assert ask(other, mine) == ask(mine, other) == Granted(Grant(ALL), 7)


CASES = list(product([True, False], [None, -1, 0, 1], [True, False]))


@pytest.mark.parametrize(("shared", "days_left", "this_right"), CASES)
def test_the_reasons_in_their_order(shared: bool, days_left: int | None, this_right: bool) -> None:
    rights = [Right.PATENTS if this_right else Right.DESIGNS] if shared else []
    until = None if days_left is None else TODAY + days_left * DAY
    if not shared:
        expected: Granted | Denied = Denied(Reason.NO_AUTHORIZATION)
    elif days_left == -1:
        expected = Denied(Reason.EXPIRED)
    elif not this_right:
        expected = Denied(Reason.RIGHT_NOT_SHARED)
    else:
        expected = Granted(Grant(ALL), 7)
    given = authorization(*rights, until=until)
    assert ask(given) == expected
    assert given.holds(MORNING) is (shared and days_left != -1)


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_nothing_is_granted_before_the_first_day_of_the_office(days: int) -> None:
    given = authorization(Right.PATENTS, since=TODAY + days * DAY, until=TODAY + 2 * DAY)
    expected = Denied(Reason.NOT_YET) if days == 1 else Granted(Grant(ALL), 7)
    assert ask(given) == expected
    assert given.holds(MORNING) is (days < 1)
    assert given.document()["validFrom"] == (TODAY + days * DAY).isoformat()


FEWER = ALL - {Disclosure.STAKEHOLDER}
PUBLISHED, OLD = RowRule(publishedOnly=True), RowRule(applicationDateTo=TODAY)


@pytest.mark.parametrize(
    ("mine", "other", "covered"),
    [
        (Grant(ALL), Grant(ALL), True),
        (Grant(ALL), Grant(FEWER, PUBLISHED, freeText=False), True),
        (Grant(FEWER), Grant(ALL), False),
        (Grant(FEWER), Grant(ALL - {Disclosure.DOCUMENTS}), False),
        (Grant(ALL, PUBLISHED), Grant(FEWER, PUBLISHED), True),
        (Grant(ALL, PUBLISHED), Grant(FEWER), False),
        (Grant(ALL, PUBLISHED), Grant(FEWER, OLD), False),
        (Grant(ALL, freeText=False), Grant(FEWER), False),
        (Grant(ALL, freeText=False), Grant(FEWER, freeText=False), True),
    ],
)
def test_a_grant_covers_what_opens_nothing_beyond_it(
    mine: Grant, other: Grant, covered: bool
) -> None:
    assert mine.covers(other) is covered


@pytest.mark.parametrize("rule", [None, PUBLISHED])
@pytest.mark.parametrize("free_text", [True, False])
def test_only_every_record_with_its_free_text_needs_no_view(
    rule: RowRule | None, free_text: bool
) -> None:
    assert Grant(ALL, rule, freeText=free_text).has_view is (rule is not None or not free_text)


def test_a_right_that_is_not_shared_is_withheld_whole() -> None:
    assert authorization(Right.PATENTS).withheld(Right.DESIGNS) == ALL


def test_the_document_has_a_fixed_order() -> None:
    given = authorization(
        Right.TRADEMARKS, Right.PATENTS, withheld=[Disclosure.EXAMINATION], until=TODAY
    )
    classes = {
        "allowed": ["core", "stakeholder", "status_change", "documents"],
        "withheld": ["examination"],
        "rows": {},
        "freeText": True,
    }
    assert given.document() == {
        "office": "KH",
        "thirdParty": "Ann",
        "version": 7,
        "rights": [{"right": "patents", **classes}, {"right": "trademarks", **classes}],
        "validFrom": None,
        "validUntil": "2026-03-04",
        "termsOfUse": "internal_use",
        "purpose": None,
        "allowedAddresses": [],
        "reason": None,
        "revoked": False,
        "setAt": "2026-01-02T03:04:05Z",
        "setBy": "Sok",
    }
    assert authorization().document()["revoked"] is True
    assert authorization().document()["validUntil"] is None


@pytest.mark.parametrize(
    ("rights", "withhold", "meaning"),
    [
        ("patents", [], {"patents": set()}),
        (" patents , designs,", [], {"patents": set(), "designs": set()}),
        ("designs", ["documents"], {"designs": {"documents"}}),
        (
            "designs,patents",
            ["stakeholder, examination"],
            {"designs": {"stakeholder", "examination"}, "patents": {"stakeholder", "examination"}},
        ),
        ("designs,patents", ["patents:documents"], {"designs": set(), "patents": {"documents"}}),
        (
            "designs,patents",
            ["examination", "patents: documents,stakeholder", "patents:examination"],
            {"designs": {"examination"}, "patents": {"examination", "documents", "stakeholder"}},
        ),
        ("patents", ["", "patents:"], {"patents": set()}),
        ("", [], {}),
    ],
)
def test_the_written_form_is_read(
    rights: str, withhold: list[str], meaning: dict[str, set[str]]
) -> None:
    assert parse_withheld(rights, withhold) == meaning


@pytest.mark.parametrize(
    ("rights", "withhold", "sentence"),
    [
        ("patent", [], "'patent' is not a right; there are patents, trademarks, designs"),
        ("Patents", [], "'Patents' is not a right"),
        ("patents", ["core"], "core cannot be withheld"),
        ("patents", ["patents:core"], "core cannot be withheld"),
        (
            "patents",
            ["applicants"],
            "choose among stakeholder, status_change, examination, documents",
        ),
        ("patents", ["designs:documents"], "designs is not among the shared rights"),
        ("patents", ["marks:documents"], "'marks' is not a right"),
        ("patents", ["patents:documents:stakeholder"], "cannot be withheld"),
    ],
)
def test_words_nobody_knows_are_refused(rights: str, withhold: list[str], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        parse_withheld(rights, withhold)


def test_open_classes_are_all_but_the_withheld() -> None:
    open_classes = check_withheld({Right.PATENTS: [], Right.DESIGNS: WITHHOLDABLE})
    assert open_classes == {Right.PATENTS: ALL, Right.DESIGNS: {Disclosure.CORE}}


def test_sharing_nothing_is_not_an_authorization() -> None:
    with pytest.raises(InvalidRequest, match="to share nothing, revoke"):
        check_withheld({})


@pytest.mark.parametrize("code", ["XX", "kh", "", "KHM"])
def test_only_offices_of_the_hub_share(code: str) -> None:
    assert check_office("KH") == "KH"
    with pytest.raises(InvalidRequest, match=r"is not an office of this hub; there are .*ID, KH"):
        check_office(code)
