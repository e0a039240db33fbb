"""Drawings say what the figures say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compare.result import Interval, Point, Series, Step, Survival
from engine.report.page.curves import over_turns, survival
from engine.report.page.drawing import Dot, Path, Scale, ticks
from engine.report.page.numbers import difference, interval, printed, size

FINITE = st.floats(-1e9, 1e9, allow_nan=False)


@given(low=FINITE, span=st.floats(1e-6, 1e9), most=st.integers(1, 12))
def test_ticks_are_few_round_and_inside(low: float, span: float, most: int) -> None:
    high = low + span
    found = ticks(low, high, most)
    slack = 1e-6 * max(abs(low), abs(high), 1.0)
    assert len(found) <= most + 1
    assert all(low - slack <= value <= high + slack for value in found)
    assert list(found) == sorted(found)


@given(value=FINITE)
def test_a_place_is_never_outside_of_the_drawing(value: float) -> None:
    assert 10 <= Scale(0, 5, 10, 90)(value) <= 90


def series(arm: str, means: list[float], half: float | None) -> Series:
    return Series(
        arm=arm,
        behaviour="errors",
        label="execution errors per code block",
        unit="share",
        is_share=True,
        points=tuple(
            Point(turn=turn, n=5, mean=mean, interval=half and Interval(mean - half, mean + half))  # pyright: ignore[reportArgumentType]
            for turn, mean in enumerate(means)
        ),
    )


def test_each_point_is_drawn_where_its_value_is() -> None:
    drawing = over_turns([series("a", [0.0, 0.5, 1.0], None)], {"a": "arm-0"})
    dots = [mark for mark in drawing.marks if isinstance(mark, Dot)]
    assert [dot.title for dot in dots] == ["turn 1: 0 %", "turn 2: 50 %", "turn 3: 100 %"]
    heights = [dot.y for dot in dots]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.02)
    assert "M" in "".join(mark.d for mark in drawing.marks if isinstance(mark, Path))


def test_a_band_is_drawn_only_where_there_is_an_interval() -> None:
    def n_bands(half: float | None) -> int:
        drawing = over_turns([series("a", [0.2, 0.5], half)], {"a": "arm-0"})
        return sum(isinstance(mark, Path) and "band" in mark.look for mark in drawing.marks)

    assert (n_bands(0.1), n_bands(None)) == (1, 0)


def test_an_arm_without_investigations_has_no_curve_beside_one_that_has_some() -> None:
    step = Step(turn=0, n_at_risk=1, n_ended=0, n_censored=0, share=1.0, interval=None)
    found = [Survival(arm="a", steps=(step,)), Survival(arm="b", steps=())]
    marks = survival(found, {"a": "arm-0", "b": "arm-1"}).marks
    assert [mark.look for mark in marks if isinstance(mark, Path)] == ["curve arm-0"]


@pytest.mark.parametrize(
    ("value", "is_share", "expected"),
    [
        (-0.18, True, "\u221218 points"),
        (0.0, True, "0 points"),
        (-0.001, True, "0 points"),
        (2.5, False, "+2.50"),
        (None, False, "\u2014"),
    ],
)
def test_a_difference_has_its_sign(value: float | None, is_share: bool, expected: str) -> None:  # noqa: FBT001 - pytest passes it by name
    assert difference(value, is_share=is_share) == expected


def test_numbers_are_printed_as_in_print() -> None:
    assert interval(Interval(-0.5, 0.25), is_share=True) == "\u221250 to +25"
    assert interval(None) == ""
    assert printed("tiny-1 differs by -3 from a-2") == "tiny-1 differs by \u22123 from a-2"
    assert [size(n) for n in (12, 2048, 25_276_502_016)] == ["12 B", "2 KiB", "23.5 GiB"]
