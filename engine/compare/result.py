"""What a comparison found, as values: the `comparison` of model_comparison.json.

Version 1. An interval is a 95 % t interval; None: too few units to have one. A share lies between 0
and 1. A `turn` is a position in the investigation from 0, as everywhere in the files; sentences
count turns from 1.
"""

from typing import Literal

import msgspec

VERSION = 1
"""Of the layout of `Comparison`; raised whenever a field changes its meaning or goes."""

Word = Literal["differ", "tied", "not enough runs", "not measured", "not compared"]
"""The last one: speeds of models that shared a machine, and a measure of one arm alone."""
Unit = Literal["seed", "phase"]
Reason = Literal["infrastructure", "impure", "unfinished", "without a partner"]


class Interval(msgspec.Struct, frozen=True):
    """Where the true value is expected."""

    low: float
    high: float


class ArmValue(msgspec.Struct, frozen=True, kw_only=True):
    """One measure in one arm."""

    arm: str
    value: float | None
    """Mean per investigation, or ratio of the sums; None: nothing to divide by."""
    interval: Interval | None
    n_investigations: int
    censored_share: float
    """Of them, those that a limit ended: turns, tokens, time or window."""


class NoiseFloor(msgspec.Struct, frozen=True, kw_only=True):
    """What the same model differs from itself by, on the same server, with the same seeds."""

    arm: str
    twin: str
    difference: float | None
    interval: Interval | None
    floor: float | None
    """A difference up to this is seen without any difference between models: the end of
    `interval` that is farther from zero."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """How the second arm differs from the first: second minus first."""

    difference: float | None
    interval: Interval | None
    p: float | None
    """Two-sided, of a paired t test; of ratios of sums, the larger one of it and of exchanging the
    arms within units. None: too few units."""
    mde: float | None
    """Smallest true difference that this many units find in 80 of 100 studies, tested by itself.
    None: too few units, none that scatter, or no difference can be so large."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One measure in a pair of arms."""

    measure: str
    """Name that stays, e.g. "error_rate"."""
    label: str
    """For people, e.g. "execution errors per code block"."""
    definition: str
    """What it is, exactly."""
    unit: str
    """"turns", "tokens", "s", "tokens/s", "share", "blocks", ..."""
    is_share: bool
    """Shown in percent; differences are percentage points."""
    is_primary: bool
    """Named before the run: the one that the verdict of the comparison is about."""
    is_shared: bool
    """A speed of models that shared a machine: no property of the models, and never tested."""
    first: ArmValue
    second: ArmValue
    n_units: int
    n_telling: int
    """Of them, those with something to divide by, in the arm that has fewer."""
    n_pairs: int
    """Pairs of investigations with one phase and seed that are in it."""
    effect: Effect
    p_holm: float | None
    """p adjusted for all measures tested beside it; for the primary one, for the arms alone. None:
    it is not tested."""
    margin: float | None
    """Differences up to this count as none."""
    verdict: Word
    n_more: int | None
    """Units that are missing, as far as can be told, where the verdict is "not enough runs"."""
    words: str
    """The verdict as a sentence."""
    noise: tuple[NoiseFloor, ...]
    """Of those of the two arms that have a twin."""
    without_harness: Effect | None
    """The effect without failures that the harness caused; None: they cannot matter to it."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One arm at one turn."""

    turn: int
    n: int
    """Investigations that came so far; the figures are about them."""
    mean: float
    interval: Interval | None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One behaviour of one arm, turn by turn."""

    arm: str
    behaviour: str
    """"code_blocks", "errors", "calls", "findings", "tokens", "seconds", "help", "repeats",
    "silent"."""
    label: str
    unit: str
    is_share: bool
    points: tuple[Point, ...]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a survival curve: it holds from `turn` until the next step."""

    turn: int
    n_at_risk: int
    n_ended: int
    """That had their last productive turn just before."""
    n_censored: int
    """That a limit ended just before."""
    share: float
    """Still productive."""
    interval: Interval | None


class Survival(msgspec.Struct, frozen=True, kw_only=True):
    """How long investigations of one arm go on with code that runs (Kaplan-Meier)."""

    arm: str
    steps: tuple[Step, ...]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of investigations that shows where two arms part."""

    phase: str
    replicate: int
    first: str
    second: str
    """Ids of investigations."""
    turn: int


class Separation(msgspec.Struct, frozen=True, kw_only=True):
    """The first turn at which the behaviour of two arms differs by more than chance."""

    turn: int | None
    """None: at none of them."""
    interval: tuple[int, int] | None
    """At its last turn the arms are shown to differ, before its first one to differ less: with 95 %
    confidence the difference begins to be as large in between."""
    behaviour: str | None
    """What differs most at `turn`, see `label`."""
    label: str | None
    p: float | None
    """Adjusted for all turns and behaviours, and for the pairs of arms in the scope."""
    example: Example | None
    words: str


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two arms beside each other."""

    first: str
    second: str
    is_noise: bool
    """The same model twice."""
    verdict: Word
    """Of the primary measure."""
    words: str
    results: tuple[Result, ...]
    """The primary measure first."""
    separation: Separation


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """The investigations that a comparison is about: one phase, or all of them together."""

    phase: str | None
    """None: all phases together."""
    phases: tuple[str, ...]
    unit: Unit
    """What counts as one independent observation: a seed in one phase, a phase in several."""
    words: str
    """Of what it speaks, and of what it does not."""
    pairs: tuple[Pair, ...]
    series: tuple[Series, ...]
    survival: tuple[Survival, ...]


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """An investigation that is in no figure, and why."""

    investigation: str
    arm: str
    reason: Reason
    """The last one: it counts in its arm, but in no difference to the arms that `detail` names."""
    detail: str


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """Failed executions of one arm by what caused them."""

    arm: str
    n_executions: int
    n_failed: int
    by_kind: dict[str, int]
    """Class of the exception -> executions."""
    by_cause: dict[str, int]
    """"model", or what of the harness: "sandbox limit", "sandbox wall", "introspection limit"."""
    unknown_names: dict[str, int]
    """Names of the introspection API that the model used and that do not exist."""


class Replies(msgspec.Struct, frozen=True, kw_only=True):
    """How often one server answered one request in two ways: a model and its twin."""

    arm: str
    twin: str
    n_requests: int
    """Requests that both sent: same conversation, same seed."""
    n_other: int
    """Of them, those with another reply."""
    words: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a run says about how its arms differ."""

    version: int = VERSION
    primary: str
    """Measure named before the run, see the manifest."""
    verdict: Word
    """Of the primary measure, first pair of the first scope."""
    words: str
    """The answer in a few sentences, for the top of whatever shows it."""
    level: float
    """Of the intervals, 0.95."""
    arms: tuple[str, ...]
    twins: dict[str, str]
    """Twin -> the arm whose model it is."""
    scopes: tuple[Scope, ...]
    """The first one is the answer; with several phases, each of them follows by itself."""
    exclusions: tuple[Exclusion, ...]
    failures: tuple[Failures, ...]
    replies: tuple[Replies, ...]
    """One for each twin."""
    notes: tuple[str, ...]
    """How the figures are to be read: rules of the verdicts, shared machine, stopping rule."""
