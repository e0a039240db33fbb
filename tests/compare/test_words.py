"""Figures as sentences and tables have them."""

import pytest

from engine.compare.result import Interval
from engine.compare.words import signed, span


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


def test_an_interval_has_no_sign_where_an_end_rounds_to_nothing() -> None:
    assert span(Interval(-0.004, 0.25), is_share=True) == "0 to +25"
