"""Figures as sentences and tables have them."""

import pytest

from engine.compare.result import Interval
from engine.compare.words import counted, missing, signed, span


@pytest.mark.parametrize(
    ("value", "is_share", "expected"),
    [
        (-0.002, True, "0"),
        (-1e-4, False, "0"),
        (1e-4, False, "0"),
        (-0.18, True, "-18"),
        (2.5, False, "+2.50"),
    ],
)
def test_a_difference_that_rounds_to_nothing_has_no_sign(
    value: float,
    is_share: bool,  # noqa: FBT001 - pytest passes it by name
    expected: str,
) -> None:
    assert signed(value, is_share=is_share) == expected


def test_more_seeds_than_are_told_from_each_other_have_no_sum() -> None:
    assert missing(10_000, "seed", 60) == "not enough runs: more than 10,000 more seeds"
    assert missing(9_999, "seed", 60) == "not enough runs: 9,999 more seeds (10,059 in all)"


def test_seeds_that_there_are_are_counted_exactly() -> None:
    assert counted(12_000, "seed") == "12,000 seeds"


def test_an_interval_has_no_sign_where_an_end_rounds_to_nothing() -> None:
    assert span(Interval(-0.004, 0.25), is_share=True) == "0 to +25"
