"""The answer in a few sentences, and how the figures are to be read. Pure."""

from collections.abc import Sequence

from engine.compare.cases import Question
from engine.compare.catalogue import OTHER_MARGIN, SHARE_MARGIN, named
from engine.compare.estimate import LEAST_UNITS
from engine.compare.result import Pair, Scope, Unit, Word
from engine.compare.words import figure, listed

_SHOWN = 5
_FEW_SEEDS = 10
"""Below them, intervals of ratios of sums can be short, see `significance`."""


def headline(scopes: Sequence[Scope], question: Question) -> tuple[Word, str]:
    """Return the verdict of the run, and the sentences at its top."""
    main = scopes[0]
    if not main.pairs:
        return "not compared", f"There is one arm, {question.arms[0]}: nothing to compare."
    verdict = main.pairs[0].verdict
    real = [pair for pair in main.pairs if not pair.is_noise] or list(main.pairs)
    parts = [text for pair in real for text in (pair.words, _others(pair), _parting(pair))]
    return verdict, " ".join(part for part in (*parts, main.words) if part)


def _others(pair: Pair) -> str:
    """Return in which other measures the arms differ."""
    found = [
        each.label for each in pair.results if each.verdict == "differ" and not each.is_primary
    ]
    if not found:
        return ""
    more = [f"{len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    names = listed([*found[:_SHOWN], *more])
    if pair.verdict == "differ":
        return f"They also differ in {names}."
    return f"{pair.first} and {pair.second} differ in other measures: {names}."


def _parting(pair: Pair) -> str:
    return pair.separation.words if pair.separation.turn is not None else ""


def scope_words(phases: Sequence[str], unit: Unit) -> str:
    """Return of what a scope speaks."""
    if unit == "seed":
        return f"This speaks of phase {phases[0]} alone: every seed of it is one observation."
    return (
        f"This speaks of phases like these {len(phases)}: a phase is one observation, and its "
        "seeds are averaged."
    )


def notes(question: Question, *, is_branched: bool) -> tuple[str, ...]:
    """Return how the figures are to be read; `is_branched`: beginnings are shared."""
    shares, others = f"{SHARE_MARGIN * 100:.0f} points", f"{OTHER_MARGIN * 100:.0f} %"
    primary = (
        f"Primary measure, named before the run: {named(question.primary).label}. All others are "
        "tested together (Holm)."
    )
    differences = (
        "Differences are the second arm minus the first, within pairs that have phase and seed in "
        "common. Intervals are 95 % t intervals; those of rates are a little short below "
        f"{_FEW_SEEDS} units, and their verdicts rest on a second test."
    )
    tied = (
        f"Tied: the whole interval lies within {shares} for shares, within {others} of the mean "
        f"of both arms for anything else{_settled(question)}. Below {LEAST_UNITS} units nothing is "
        "said."
    )
    return (primary, differences, tied, *_conditions(question, is_branched=is_branched))


def _settled(question: Question) -> str:
    if question.wanted is None:
        return ""
    measure = named(question.primary)
    size = figure(question.wanted, is_share=measure.is_share, unit=measure.unit)
    return f", and within {size} for the primary measure"


def _conditions(question: Question, *, is_branched: bool) -> list[str]:
    found: list[str] = []
    if is_branched and len(question.phases) > 1:
        found.append(
            "Investigations of different phases share their beginnings: taken together, the phases "
            "say less than as many that have nothing in common."
        )
    if question.n_first is None:
        found.append(
            "Going on with more seeds until there is a verdict is looking again: p is then too "
            "small."
        )
    else:
        found.append(
            f"The number of seeds was settled after the first {question.n_first}, from how far "
            "they scatter in the primary measure and not from what they show; its error is that of "
            "the first (Stein, 1945), where both arms scatter in them."
        )
    if question.is_shared:
        found.append(
            "The models shared a machine at the same time: seconds and tokens per second are what "
            "this run took, no property of the models, and are not tested."
        )
    if not question.twins:
        found.append("No model was run twice: what the server itself scatters is not known.")
    return found
