"""How many replicates there are to be: after the first stage of --until-mde, and for a verdict."""

import math
from dataclasses import replace

from engine.cli.console import say
from engine.cli.study import Study
from engine.compare.catalogue import named
from engine.compare.estimate import LEAST_UNITS
from engine.compare.judgement import MANY
from engine.compare.stages import Need, need
from engine.compare.words import figure, more
from engine.report.design import question_of
from engine.report.run import Run


def enlarged(study: Study, run: Run) -> Study | None:
    """Return `study` with the replicates that its first stage calls for; None: it has them all."""
    options = study.options
    if options.until_mde is None:
        return None
    question = question_of(run.manifest)
    found = need(
        run.cases(),
        question,
        mde=options.until_mde,
        most=options.max_replicates,
    )
    replicates = max(found.replicates, _n_begun(run))
    if options.replicates == question.n_first or replicates > options.replicates:
        say(_words(found, study, replicates))
    if replicates <= options.replicates:
        return None
    return replace(study, options=replace(options, replicates=replicates))


def _words(found: Need, study: Study, replicates: int) -> str:
    options = study.options
    measure = named(options.primary)
    size = figure(options.until_mde, is_share=measure.is_share, unit=measure.unit)
    first = f"the first {options.replicates} replicates"
    if not found.n_telling:
        return (
            f"in none of {first} was there anything to measure {measure.label} by in both arms: "
            "how many are needed cannot be told."
        )
    words = (
        f"{first} scatter so that {found.wanted:,} find a difference of {size} in {measure.label}"
    )
    if found.n_telling < LEAST_UNITS:
        words = (
            f"only {found.n_telling} of {first} say anything about {measure.label}; "
            f"{found.wanted:,} may tell enough"
        )
    if found.wanted > found.replicates:
        return f"{words}; --max-replicates allows {found.replicates:,}."
    if replicates > options.replicates:
        return f"{words}; going on to {replicates:,}."
    return f"{words}: no more are needed."


def advice(run: Run) -> str | None:
    """Return how to get a verdict that there were not enough replicates for; None: there is one."""
    main = run.comparison.scopes[0]
    lacking = [pair.results[0] for pair in main.pairs if not pair.is_noise]
    missing = [(each.n_more, each.n_units) for each in lacking if each.n_more is not None]
    if not missing or main.unit != "seed":
        return None
    if unsettled := _unsettled(run, n_counting=max(n_units for _, n_units in missing)):
        return unsettled
    if max(missing)[0] >= MANY:
        return f"a verdict takes {more(MANY)} replicates."
    if run.manifest.fork:
        return (
            f"a verdict takes about {max(map(sum, missing)):,} seeds, and a fork has those of its "
            "run: fork one with as many --replicates."
        )
    return _enlarging(max(_needed(run, *each) for each in missing), run)


def _unsettled(run: Run, *, n_counting: int) -> str | None:
    """Return what more replicates are no remedy for; None: nothing is.

    `n_counting`: pairs of investigations that count.
    """
    reasons = {each.reason for each in run.comparison.exclusions}
    is_begun = bool(run.manifest.fork) or _n_begun(run) >= run.manifest.replicates
    if reasons & {"infrastructure", "unfinished"} or not is_begun:
        return f"not all investigations have ended by themselves: resume {run.directory} first."
    if "impure" in reasons and not n_counting:
        return "all investigations of an arm saw what its condition hides: none of them counts."
    return None


def _n_begun(run: Run) -> int:
    return max((item.replicate for item in run.measures), default=-1) + 1


def _needed(run: Run, n_more: int, n_units: int) -> int:
    """Return how many replicates there are to be, of which as many count as of those there are."""
    return math.ceil((n_units + n_more) * _n_begun(run) / n_units) if n_units else n_more


def _enlarging(needed: int, run: Run) -> str:
    """Return how to have so many replicates, and what that does to p."""
    if run.manifest.design.until_mde is not None:
        return f"a verdict takes about --replicates {needed}; looked at again, p is too small."
    return (
        "--until-mde SIZE settles the number of seeds before the run. Here a verdict takes about "
        f"--replicates {needed}; looked at again, p is too small."
    )
