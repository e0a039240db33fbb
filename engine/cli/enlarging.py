"""How many replicates there are to be: after the first stage of --until-mde, and for a verdict."""

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
    begun = max((item.replicate for item in run.measures), default=-1) + 1
    replicates = max(found.replicates, begun)
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
    if max(missing)[0] >= MANY:
        return f"a verdict takes {more(MANY)} replicates."
    needed = max(map(sum, missing))
    if run.manifest.fork:
        return (
            f"a verdict takes about {needed:,} seeds, and a fork has those of its run: fork one "
            "with as many --replicates."
        )
    is_settled = run.manifest.design.until_mde is not None
    hint = "" if is_settled else "; --until-mde SIZE settles the number by itself"
    return f"a verdict takes about --replicates {needed}{hint}."
