"""Drawings as values: what an SVG element has, without its markup, which the template adds. Pure.

Coordinates are units of the drawing, y downwards. What a mark looks like is a matter of its class.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_CLOSE = 1e-9


class Line(msgspec.Struct, frozen=True, tag="line"):
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    look: str


class Path(msgspec.Struct, frozen=True, tag="path"):
    """A line through points, or an area: `d` as in SVG."""

    d: str
    look: str


class Dot(msgspec.Struct, frozen=True, tag="dot"):
    """A point, and what is said about it when it is pointed at."""

    x: float
    y: float
    look: str
    title: str = ""


class Box(msgspec.Struct, frozen=True, tag="box"):
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float
    look: str


class Label(msgspec.Struct, frozen=True, tag="label"):
    """A text; `anchor`: start, middle or end."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    look: str = "tick"


Mark = Line | Path | Dot | Box | Label


class Drawing(msgspec.Struct, frozen=True):
    """One figure."""

    width: int
    height: int
    title: str
    """What it shows, for those who do not see it."""
    marks: tuple[Mark, ...]

    def kind(self, mark: Mark) -> str:
        """Return which of the marks this is."""
        return str(type(mark).__struct_config__.tag)


class Scale(msgspec.Struct, frozen=True):
    """Maps values between `low` and `high` to places between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of `value`, which is kept inside."""
        inside = min(max(value, self.low), self.high)
        share = (inside - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """Return at most about `most` round values from `low` to `high`."""
    if high <= low:
        return (low,)
    raw = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * power for nice in _NICE if nice * power >= raw * (1 - _CLOSE))
    first = math.ceil(low / step - _CLOSE)
    last = math.floor(high / step + _CLOSE)
    return tuple(round(n * step, 10) for n in range(first, last + 1))


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """Return the path through `points`."""
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points)


def area(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    """Return the path around what lies between two lines."""
    return polyline([*upper, *reversed(lower)]) + "Z"
