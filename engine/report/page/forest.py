"""A difference as a drawing: estimate, interval, and what noise alone would make. Pure."""

from collections.abc import Iterator

from engine.compare.result import Interval, Result
from engine.report.page.drawing import Box, Dot, Drawing, Line, Mark, Scale
from engine.report.page.numbers import difference, interval

WIDTH, HEIGHT = 240, 34
_EDGE, _MIDDLE = 8, HEIGHT / 2
_ROOM = 1.15


def forest(result: Result) -> Drawing:
    """Return the difference of `result` on a scale of its own, zero in the middle."""
    reach = _reach(result)
    at = Scale(-reach, reach, _EDGE, WIDTH - _EDGE)
    return Drawing(WIDTH, HEIGHT, _said(result), tuple(_marks(result, at)))


def _reach(result: Result) -> float:
    """Return the largest distance from zero that has to be seen."""
    found, margin = result.effect, result.margin or 0.0
    distances = [abs(found.difference or 0.0), margin]
    distances += [abs(end) for end in _ends(found.interval)]
    distances += [abs(noise.floor or 0.0) for noise in result.noise]
    return max(distances) * _ROOM or 1.0


def _ends(found: Interval | None) -> tuple[float, ...]:
    return (found.low, found.high) if found else ()


def _marks(result: Result, at: Scale) -> Iterator[Mark]:
    floor = max((abs(noise.floor or 0.0) for noise in result.noise), default=0.0)
    if floor:
        yield Box(at(-floor), 4, at(floor) - at(-floor), HEIGHT - 8, "noise")
    for edge in (-result.margin, result.margin) if result.margin else ():
        yield Line(at(edge), 5, at(edge), HEIGHT - 5, "margin")
    yield Line(at(0), 2, at(0), HEIGHT - 2, "zero")
    found, look = result.effect, f"verdict-{result.verdict.replace(' ', '-')}"
    if found.interval:
        low, high = at(found.interval.low), at(found.interval.high)
        yield Line(low, _MIDDLE, high, _MIDDLE, f"whisker {look}")
        for end in (low, high):
            yield Line(end, _MIDDLE - 4, end, _MIDDLE + 4, f"whisker {look}")
    if found.difference is not None:
        yield Dot(at(found.difference), _MIDDLE, look, _said(result))


def _said(result: Result) -> str:
    found = result.effect
    said = difference(found.difference, is_share=result.is_share)
    between = interval(found.interval, is_share=result.is_share)
    return f"{result.label}: {said}" + (f", 95 % interval {between}" if between else "")
