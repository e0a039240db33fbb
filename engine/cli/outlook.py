"""How long a run will take: said before it begins, and from its own pace once it has one."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from time import time
from typing import NamedTuple

import msgspec

from engine.cli.console import say
from engine.cli.counts import counted
from engine.cli.duration import span
from engine.cli.paces import read_paces, works_of
from engine.cli.progress import Progress
from engine.cli.study import Study
from engine.cli.ticking import every
from engine.compare.costs import cost
from engine.forecast import (
    Band,
    Pace,
    Work,
    ahead,
    expected,
    find_pace,
    one_after_another,
    together,
)
from engine.transcript import Usage

_LOOK_EVERY_S = 5.0
_TOLD_AT_S = (60.0, 900.0)
"""Seconds after which a run tells what its own pace foretells."""
_LONG_S = 11 * 3600.0
"""What may be too long without a deadline: a free Colab machine is taken away after 12 hours."""


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a study before it begins."""

    band: Band | None
    """None: nothing is remembered of some of it."""
    unknown: tuple[str, ...]
    """Models and phases of which nothing is remembered."""
    n_remembered: int
    """Investigations that the forecast rests on."""
    usage: dict[str, Usage]
    """Tokens that are expected of each model, where all of its phases are remembered."""


class Limits(NamedTuple):
    """What a run is held against."""

    deadline_s: float | None
    replicates: int
    n: int
    """Investigations of the run."""


def outlook(works: Sequence[Work], paces: Sequence[Pace], *, is_in_turn: bool = False) -> Outlook:
    """Return how long `works` take; phases of one model come one after the other.

    `is_in_turn`: so do the models.
    """
    found = [(work, find_pace(work, paces)) for work in works]
    known = [(work, pace) for work, pace in found if pace is not None]
    unknown = tuple(f"{work.model} in {work.phase}" for work, pace in found if pace is None)
    bands: dict[str, Band] = {}
    usage: dict[str, Usage] = {}
    for work, pace in known:
        band = expected(work, pace)
        bands[work.model] = bands[work.model] + band if work.model in bands else band
        usage[work.model] = usage.get(work.model, Usage()) + _tokens(work, pace)
    join = one_after_another if is_in_turn else together
    return Outlook(
        band=join(list(bands.values())) if bands and not unknown else None,
        unknown=unknown,
        n_remembered=sum(pace.n for _, pace in known),
        usage=usage,
    )


def foretell(study: Study) -> None:
    """Say how long `study` will take, as far as that is known before it begins."""
    works = works_of(study)
    if not works:
        return
    is_in_turn = study.serving.schedule != "together"
    found = outlook(works, read_paces(), is_in_turn=is_in_turn)
    limits = _limits(study, sum(work.n for work in works))
    n_at_once = max(min(work.n_at_once, work.n) for work in works)
    at_once = "one investigation" if n_at_once == 1 else f"up to {n_at_once} investigations"
    say(f"forecast: {sentence(found)} At once, per model: {at_once}.")
    for line in (*advice(found.band, limits), *_cost_lines(study, found)):
        say(line)


@contextmanager
def foretelling(study: Study, progress: Progress) -> Generator[None]:
    """Say from the pace of the run itself how long it still takes, after its first minute."""
    due = list(_TOLD_AT_S)

    def look() -> None:
        now = time()
        if due and now - progress.started >= due[0]:
            due.pop(0)
            _tell_ahead(study, progress, now)

    with every(_LOOK_EVERY_S, look, first_s=_LOOK_EVERY_S):
        yield


def _tell_ahead(study: Study, progress: Progress, now: float) -> None:
    seen = [progress.seen(model, now) for model in progress.tallies]
    bands = [band for each in seen if each.n_left and (band := ahead(each))]
    if not bands:
        return
    gone_s = now - progress.started
    left = together(bands)
    say(f"forecast after {span(gone_s)}: {_band_text(left)} more at the pace until now.")
    whole = left + Band(low_s=gone_s, likely_s=gone_s, high_s=gone_s)
    for line in advice(whole, _limits(study, progress.n_planned)):
        say(line)


def _limits(study: Study, n: int) -> Limits:
    return Limits(study.options.deadline, study.options.replicates, n)


def sentence(found: Outlook) -> str:
    """Return an outlook in words."""
    if found.band is None:
        what = ", ".join(found.unknown[:4]) + (" and more" if len(found.unknown) > 4 else "")  # noqa: PLR2004 - a line
        return (
            f"not known yet: no finished run of {what} is remembered for where it runs. The run "
            "says after its first minute."
        )
    rest = counted(found.n_remembered, "investigation")
    return f"{_band_text(found.band)}, going by {rest} remembered."


def advice(band: Band | None, limits: Limits) -> tuple[str, ...]:
    """Return whether the deadline will be met, and what to change if the run is too long."""
    if band is None:
        return ()
    deadline_s = limits.deadline_s
    if deadline_s is None:
        return (_shorter(band, _LONG_S, limits),) if band.high_s > _LONG_S else ()
    if band.high_s <= deadline_s:
        return (f"The deadline of {span(deadline_s)} will be met.",)
    share = min(1.0, deadline_s / band.likely_s)
    if band.low_s <= deadline_s:
        head = f"The deadline of {span(deadline_s)} may come first."
    else:
        head = f"The deadline of {span(deadline_s)} will come first."
    until = f" By then about {int(share * limits.n)} of {limits.n} investigations are done."
    return (head + until, _shorter(band, deadline_s, limits))


def _shorter(band: Band, within_s: float, limits: Limits) -> str:
    fitting = int(limits.replicates * within_s / band.high_s)
    fewer = f"--replicates {fitting} (of {limits.replicates}), " if fitting else ""
    return (
        f"To be done in {span(within_s)}: {fewer}fewer phases or a smaller model; or stop when "
        "you like and go on later with `resume`: no turn is lost."
    )


def _band_text(band: Band) -> str:
    low, high = span(band.low_s), span(band.high_s)
    return f"about {span(band.likely_s)} ({low} to {high})"


def _tokens(work: Work, pace: Pace) -> Usage:
    each = (pace.prompt_tokens, pace.completion_tokens, pace.cached_tokens)
    return Usage(*(round(work.n * tokens) for tokens in each))


def _cost_lines(study: Study, found: Outlook) -> list[str]:
    priced = {
        model: endpoint.prices
        for model, endpoint in study.serving.given.items()
        if endpoint.prices and found.usage.get(model, Usage()) != Usage()
    }
    return [
        f"{model} will cost about {cost(prices, found.usage[model]):.4f} {prices.currency}."
        for model, prices in priced.items()
    ]
