"""The axes of a drawing over turns, and what is drawn between them. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from engine.compare.result import Interval, Separation
from engine.report.page.drawing import (
    Box,
    Dot,
    Label,
    Line,
    Mark,
    Path,
    Scale,
    area,
    polyline,
    ticks,
)
from engine.report.page.numbers import figure

WIDTH, HEIGHT = 420, 216
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 36
_ROOM = 1.06
_MOST_BAND = 2.5
"""Times the highest value that a drawing goes up for an interval."""
_LONG = 1000
_X_TICKS, _Y_TICKS = 8, 4
_FEW_POINTS = 40
"""More are drawn without dots."""
Curve = Sequence[tuple[int, float, Interval | None]]
"""(turn from 0, value, interval), in order."""


class Frame:
    """Turns across, values upwards from zero: none of them is a difference."""

    def __init__(self, curves: Iterable[Curve], *, is_share: bool) -> None:
        """Take in all of `curves`."""
        points = [point for curve in curves for point in curve]
        last = max((turn for turn, _, _ in points), default=0)
        high = 1.0 if is_share else _top(points)
        self.is_share, self._top = is_share, high
        self.x = Scale(0, max(1, last), _LEFT, WIDTH - _RIGHT)
        self.y = Scale(0, high * _ROOM, HEIGHT - _BOTTOM, _TOP)

    def axes(self) -> Iterator[Mark]:
        """Yield grid, ticks and the name of the axis across; people count turns from 1."""
        for value in ticks(self.y.low, self.y.high, _Y_TICKS):
            y = self.y(value)
            yield Line(_LEFT, y, WIDTH - _RIGHT, y, "axis" if value == 0 else "grid")
            yield Label(_LEFT - 6, y + 4, _tick(value, is_share=self.is_share), "end")
        for turn in _whole(ticks(1, self.x.high + 1, _X_TICKS)):
            x = self.x(turn - 1)
            yield Line(x, self.y.start, x, self.y.start + 4, "axis")
            yield Label(x, self.y.start + 16, str(turn))
        yield Label((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 5, "turn", look="axis-name")

    def parting(self, separation: Separation) -> Iterator[Mark]:
        """Yield the turn at which two arms part, and the turns between which they do."""
        if separation.turn is None:
            return
        top, bottom = self.y.end, self.y.start
        if separation.interval:
            first, last = (self.x(turn) for turn in separation.interval)
            yield Box(first, top, max(1.0, last - first), bottom - top, "parting-span")
        x = self.x(separation.turn)
        yield Line(x, top, x, bottom, "parting")

    def curve(self, curve: Curve, look: str, *, has_dots: bool = True) -> Iterator[Mark]:
        """Yield the band of the intervals, the line, and a dot for each point."""
        for known in _stretches(curve):
            upper = [
                (self.x(turn), self.y(min(self._top, between.high))) for turn, between in known
            ]
            lower = [(self.x(turn), self.y(between.low)) for turn, between in known]
            yield Path(area(upper, lower), f"band {look}")
        if curve:
            yield Path(polyline((self.x(t), self.y(v)) for t, v, _ in curve), f"curve {look}")
        for turn, value, _ in curve if has_dots and len(curve) <= _FEW_POINTS else ():
            said = f"turn {turn + 1}: {figure(value, is_share=self.is_share)}"
            yield Dot(self.x(turn), self.y(value), f"point {look}", said)


def _top(points: Curve) -> float:
    """Return how high a drawing goes: a band may be cut, so that a wide one leaves lines apart."""
    values = [value for _, value, _ in points]
    ends = [between.high for _, _, between in points if between]
    highest = max(values, default=0.0)
    return min(max([highest, *ends], default=0.0), highest * _MOST_BAND) or 1.0


def _stretches(curve: Curve) -> Iterator[list[tuple[int, Interval]]]:
    """Yield the points with intervals that follow each other."""
    for has_interval, group in groupby(curve, lambda point: point[2] is not None):
        if has_interval:
            yield [(turn, between) for turn, _, between in group if between]


def _tick(value: float, *, is_share: bool) -> str:
    return f"{value * 100:g} %" if is_share else f"{value:,g}" if value < _LONG else f"{value:,.0f}"


def _whole(values: Iterable[float]) -> Iterator[int]:
    return (int(value) for value in values if value == int(value))
