"""When a full extraction waits for its office: the scenarios, each with its numbers."""

import pytest

from ipregister.guards import judge_vanishing


@pytest.mark.parametrize(
    ("had", "in_this_file", "vanishing", "rejected"),
    [
        (0, 100_000, 0, 0),  # first load
        (1_000, 9_000, 0, 0),  # growth
        (1_000, 9_000, 0, 50),  # growth with bad records
        (12, 8, 4, 0),  # a small collection
        (500, 490, 10, 0),  # so few may always vanish
        (100_000, 98_000, 2_000, 0),  # two in a hundred
        (0, 0, 0, 0),
    ],
)
def test_what_is_plausible_goes_on(
    had: int, in_this_file: int, vanishing: int, rejected: int
) -> None:
    judged = judge_vanishing(
        had=had, in_this_file=in_this_file, vanishing=vanishing, rejected=rejected
    )
    assert judged is None


@pytest.mark.parametrize(
    ("had", "in_this_file", "vanishing", "rejected", "because"),
    [
        (250_000, 100_000, 150_000, 0, "60.0% of your records are missing"),
        (500, 489, 11, 0, "2.2% of your records"),
        (100_000, 97_999, 2_001, 0, "2.0% of your records"),
        (3, 5, 3, 0, "not one record you had"),
        (1, 0, 1, 0, "not one record you had"),
        (1_000, 998, 1, 1, "1 records could not be read"),
    ],
)
def test_what_would_lose_too_much_is_held_with_three_numbers(
    had: int, in_this_file: int, vanishing: int, rejected: int, because: str
) -> None:
    hold = judge_vanishing(
        had=had, in_this_file=in_this_file, vanishing=vanishing, rejected=rejected
    )
    assert hold is not None
    assert because in hold.reason
    assert (
        f"You had {had:,} records, this delivery has {in_this_file:,}, "
        f"{vanishing:,} would disappear." in hold.reason
    )
