"""Behaviour over turns as drawings: means with intervals, and survival curves. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from engine.compare.result import Separation, Series, Survival
from engine.report.page.drawing import Drawing, Line, Mark
from engine.report.page.frame import HEIGHT, WIDTH, Curve, Frame


def over_turns(
    series: Sequence[Series], looks: Mapping[str, str], separation: Separation | None = None
) -> Drawing:
    """Return one behaviour of all arms; the turn where they part is marked if it is this one's."""
    first = series[0]
    curves = {each.arm: [(p.turn, p.mean, p.interval) for p in each.points] for each in series}
    frame = Frame(curves.values(), is_share=first.is_share)
    marks: list[Mark] = [*frame.axes()]
    if separation and separation.behaviour == first.behaviour:
        marks += frame.parting(separation)
    for arm, curve in curves.items():
        marks += frame.curve(curve, looks[arm])
    return Drawing(WIDTH, HEIGHT, f"{first.label}, turn by turn: {', '.join(curves)}", (*marks,))


def survival(found: Sequence[Survival], looks: Mapping[str, str]) -> Drawing:
    """Return the shares still productive, as steps; a tick stands where a limit ended some."""
    curves = {each.arm: _steps(each) for each in found}
    frame = Frame(curves.values(), is_share=True)
    marks: list[Mark] = [*frame.axes()]
    for each in found:
        marks += frame.curve(_cornered(curves[each.arm]), looks[each.arm], has_dots=False)
        marks += _censored(each, frame, looks[each.arm])
    return Drawing(WIDTH, HEIGHT, f"share still productive: {', '.join(curves)}", (*marks,))


def _steps(found: Survival) -> Curve:
    return [(step.turn, step.share, step.interval) for step in found.steps]


def _cornered(curve: Curve) -> Curve:
    """Return `curve` with the corner before each step."""
    found: list[Curve] = [curve[:1]]
    for (_, value, between), step in pairwise(curve):
        found.append([(step[0], value, between), step])
    return [point for part in found for point in part]


def _censored(found: Survival, frame: Frame, look: str) -> Iterator[Mark]:
    for step in found.steps:
        if step.n_censored:
            x, y = frame.x(step.turn), frame.y(step.share)
            yield Line(x, y - 4, x, y + 4, f"censored {look}")
