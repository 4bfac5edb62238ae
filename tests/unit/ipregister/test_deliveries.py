"""Identity, states and receipts of deliveries."""

from dataclasses import replace
from itertools import permutations

import pytest

from ipregister.deliveries import NEXT, Kind, Receipt, State, identity
from ipregister.model import Right

KH = ("KH", Right.TRADEMARKS, Kind.UPDATE)


def test_the_same_members_in_any_order_are_the_same_delivery() -> None:
    assert len({identity(*KH, order) for order in permutations(["aa", "bb", "cc"])}) == 1


@pytest.mark.parametrize(
    "other",
    [
        ("MY", Right.TRADEMARKS, Kind.UPDATE, ["aa"]),
        ("KH", Right.DESIGNS, Kind.UPDATE, ["aa"]),
        ("KH", Right.TRADEMARKS, Kind.FULL_EXTRACTION, ["aa"]),
        ("KH", Right.TRADEMARKS, Kind.TEST, ["aa"]),
        ("KH", Right.TRADEMARKS, Kind.UPDATE, ["aa", "aa"]),
        ("KH", Right.TRADEMARKS, Kind.UPDATE, ["ab"]),
        ("KH", Right.TRADEMARKS, Kind.UPDATE, []),
    ],
)
def test_office_right_lane_and_members_all_count(
    other: tuple[str, Right, Kind, list[str]],
) -> None:
    assert identity(*other) != identity(*KH, ["aa"])


def test_every_state_has_its_next_ones_and_final_ones_stay() -> None:
    assert NEXT.keys() == set(State)
    final = {state for state, following in NEXT.items() if not following}
    assert final == {
        State.PUBLISHED, State.PUBLISHED_WITH_FINDINGS, State.REJECTED,
        State.DUPLICATE, State.WITHDRAWN, State.TEST_ONLY,
    }  # fmt: skip


def test_every_state_can_be_reached_and_leads_to_an_end() -> None:
    reached, edge = set(), {State.RECEIVED, State.INCOMPLETE, State.DUPLICATE}
    while edge:
        reached |= edge
        edge = {after for state in edge for after in NEXT[state]} - reached
    assert reached == set(State)


@pytest.mark.parametrize("name", ["accepted", "held", "rejected", "unchanged", "duplicates"])
def test_a_receipt_counts_every_record_once(name: str) -> None:
    whole = Receipt(recordsRead=15, accepted=1, held=2, rejected=3, unchanged=4, duplicates=5)
    assert whole.adds_up()
    assert not replace(whole, **{name: getattr(whole, name) + 1}).adds_up()


def test_register_records_are_not_records_of_the_delivery() -> None:
    assert Receipt(vanished=7, restored=2).adds_up()
