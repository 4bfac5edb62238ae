"""Which counts by year are told to who sees all offices."""

import pytest

from connectors.coverage import _too_few


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([], []),
        ([4], []),
        ([5, 60], [5, 60]),
        ([9, 2], []),
        ([60, 4, 9, 70], [60, 70]),
        ([60, 4, 1, 9], [60, 9]),
        ([60, 1, 1, 9], [60]),
        ([60, 9, 9, 2], [60]),
    ],
)
def test_a_small_count_cannot_be_worked_out_of_the_sum(counts: list[int], told: list[int]) -> None:
    few = _too_few(counts)
    assert [count for count in counts if count >= few] == told
    left_out = [count for count in counts if count < few]
    assert not told or not left_out or (len(left_out) > 1 and sum(left_out) >= 5)
