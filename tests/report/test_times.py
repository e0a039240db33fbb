"""Times of a clock that was far off."""

import pytest

from engine.report.exports.inspect_sample import timestamp


@pytest.mark.parametrize(
    ("seconds", "date"),
    [
        (1e12, "9999-12-31T23:59:59.000+00:00"),
        (1e300, "9999-12-31T23:59:59.000+00:00"),
        (-1e12, "0001-01-01T00:00:00.000+00:00"),
        (1.5, "1970-01-01T00:00:01.500+00:00"),
    ],
)
def test_a_time_that_no_calendar_has_is_the_nearest_that_one_has(seconds: float, date: str) -> None:
    assert timestamp(seconds) == date
