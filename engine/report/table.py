"""A run for a terminal or a pipe: the verdict in words, then what it rests on."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from engine.compare.measures import ArmSummary
from engine.compare.result import Comparison, Pair, Result
from engine.compare.words import figure, more, probability, signed, span, unobserved
from engine.report.run import Run

Figure = Callable[[ArmSummary], str]


class Table(msgspec.Struct, frozen=True):
    """Rows of text below a head; the first column says what they are."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ends_in_words: bool = False
    """The last column holds words, too; all in between hold figures."""

    def is_of_words(self, column: int) -> bool:
        """Tell whether a column begins at the left."""
        return column == 0 or (self.ends_in_words and column == len(self.head) - 1)


def sentences_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the verdict, followed by that on each phase where there are several.

    Nothing, where there is one arm.
    """
    main, *phases = comparison.scopes
    if not main.pairs:
        return ()
    each = (
        f"Phase {scope.phase}: {pair.words}"
        for scope in phases
        for pair in scope.pairs
        if not pair.is_noise
    )
    replies = (item.words for item in comparison.replies)
    return (comparison.words, *each, *replies)


def tables_of(run: Run) -> tuple[Table, ...]:
    """Return the differences, pair by pair, and what became of the investigations.

    For one arm: its counts. A model beside its twin is shown where there is no other pair.
    """
    every = run.comparison.scopes[0].pairs
    pairs = [pair for pair in every if not pair.is_noise] or every
    figures = _ends() if pairs else {**_ends(), **_totals()}
    is_fork = run.manifest.fork is not None
    return (*(_differences(pair) for pair in pairs), _counts(run.arms(), figures, is_fork=is_fork))


def markdown(run: Run) -> str:
    """Return the run as Markdown."""
    tables = ["\n".join(_lines(table)) for table in tables_of(run)]
    return "\n\n".join([*sentences_of(run.comparison), *tables])


def _lines(table: Table) -> Iterator[str]:
    columns = range(len(table.head))
    marks = ["---" if table.is_of_words(column) else "---:" for column in columns]
    for cells in (table.head, marks, *table.rows):
        yield "| " + " | ".join(cells) + " |"


def _differences(pair: Pair) -> Table:
    has_noise = any(result.noise for result in pair.results)
    head = ("", pair.first, pair.second, "difference", "95 % interval")
    return Table(
        (*head, *(["noise floor"] if has_noise else []), "verdict"),
        tuple(_row(result, has_noise=has_noise) for result in pair.results),
        ends_in_words=True,
    )


def _row(result: Result, *, has_noise: bool) -> tuple[str, ...]:
    is_share = result.is_share
    effect = result.effect
    cells = (
        f"{result.label} (primary)" if result.is_primary else result.label,
        figure(result.first.value, is_share=is_share),
        figure(result.second.value, is_share=is_share),
        _difference(result),
        span(effect.interval, is_share=is_share) if effect.interval else "-",
    )
    return (*cells, *([_noise(result)] if has_noise else []), _verdict(result))


def _difference(result: Result) -> str:
    difference = result.effect.difference
    points = " points" if result.is_share and difference is not None else ""
    return signed(difference, is_share=result.is_share) + points


def _verdict(result: Result) -> str:
    match result.verdict:
        case "not measured":
            return unobserved(result)
        case "differ":
            return f"differ, {probability(result.p_holm)}"
        case "not enough runs" if result.n_more is not None:
            return f"not enough runs: {more(result.n_more)}"
        case "not compared":
            return "shared machine"
        case other:
            return other


def _noise(result: Result) -> str:
    floors = [floor.floor for floor in result.noise if floor.floor is not None]
    return signed(max(floors), is_share=result.is_share).lstrip("+") if floors else "-"


def _counts(arms: Sequence[ArmSummary], figures: dict[str, Figure], *, is_fork: bool) -> Table:
    shared = _sharing(is_fork=is_fork) if any(arm.inherited_turns for arm in arms) else {}
    return Table(
        ("", *(arm.model for arm in arms)),
        tuple((name, *map(of, arms)) for name, of in {**figures, **shared}.items()),
    )


def _ends() -> dict[str, Figure]:
    return {
        "investigations": lambda arm: f"{arm.investigations}",
        "left out (infrastructure)": lambda arm: f"{arm.excluded}",
        "left out (not finished)": lambda arm: f"{arm.unfinished}",
        "left out (saw what their condition hides)": lambda arm: f"{arm.impure}",
        "resumed, of them not exactly": lambda arm: f"{arm.resumed}, {arm.diverged}",
        "ended by": lambda arm: ", ".join(f"{n} {why}" for why, n in arm.stop_reasons.items()),
    }


def _totals() -> dict[str, Figure]:
    return {
        "turns": lambda arm: _with_mean(arm, arm.turns),
        "code blocks executed": lambda arm: _with_mean(arm, arm.code_blocks_executed),
        "execution errors": _errors,
        "findings stored": lambda arm: _with_mean(arm, arm.findings),
        "tokens read": lambda arm: f"{arm.prompt_tokens:,}",
        "of them from the prefix cache": lambda arm: f"{arm.cached_tokens:,}",
        "tokens written": lambda arm: f"{arm.completion_tokens:,}",
        "seconds waiting for the model": lambda arm: f"{arm.model_s:.1f}",
        "seconds executing code": lambda arm: f"{arm.execution_s:.1f}",
    }


def _sharing(*, is_fork: bool) -> dict[str, Figure]:
    shared = "turns shared with another investigation"
    of_another = "turns of the run that was forked, in no other figure"
    return {
        of_another if is_fork else shared: lambda arm: f"{arm.inherited_turns}",
        "tokens saved by it": lambda arm: f"{arm.inherited_tokens:,}",
    }


def _with_mean(arm: ArmSummary, count: int) -> str:
    kept = arm.investigations - arm.excluded - arm.unfinished - arm.impure
    return f"{count} ({count / kept:.1f} each)" if kept > 1 else f"{count}"


def _errors(arm: ArmSummary) -> str:
    share = arm.execution_errors / arm.code_blocks_executed if arm.code_blocks_executed else 0.0
    return f"{arm.execution_errors} ({share:.0%} of blocks)"
