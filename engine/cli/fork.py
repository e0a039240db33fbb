"""`fork RUN`: let recorded investigations go on from one point under something changed."""

import time
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from engine.branch import Place, Trunk, parse_place, trunks_at
from engine.cli.changes import CONTROL, Change, changed, parse_change
from engine.cli.console import say
from engine.cli.counts import counted
from engine.cli.invocation import carry_out
from engine.cli.options import Options, Repeatable
from engine.cli.resume import endpoints_in, names_in, options_of, twins_of
from engine.cli.serving.recorded import with_recorded_weights
from engine.cli.serving.twins import chosen
from engine.cli.study import Study
from engine.errors import UsageError
from engine.events import Fork, InvestigationStarted
from engine.fold import transcripts
from engine.journal import read_events
from engine.manifest import ForkFacts, Manifest, read_manifest
from engine.phase import Phase
from engine.report.run import check_named


def fork(
    run: Path,
    /,
    *,
    at: str,
    changes: Annotated[tuple[str, ...], Parameter(name="--set"), Repeatable] = (),
    only: str = "*",
    options: Options | None = None,
) -> int:
    """Let the investigations of a run go on from one point under something changed.

    What happened up to that point is kept and not asked for again: conversation, namespace and
    findings come back as they were. From there on turns have seeds of their own, the same for
    every change, so that what differs is due to the change. Without --set nothing is changed:
    that is the control.

    Parameters
    ----------
    run
        Run directory; the run may be finished, interrupted or still going on.
    at
        Name of the experiment before which, or number of turns after which to branch off.
    changes
        heritage=true|wrong|none, model=NAME, temperature=NUMBER or `control`. Repeatable: each
        makes an arm of its own.
    only
        Which investigations: a pattern for their ids, such as 'tiny-s.*'.
    """
    given, manifest = options or Options(), read_manifest(run)
    _check_flags(given)
    place = parse_place(at, manifest.phases)
    wanted = tuple(dict.fromkeys(map(parse_change, changes or (CONTROL,))))
    events = tuple(read_events(run / "events.jsonl"))
    check_named(transcripts(events), manifest, run)  # refuses what is damaged, or of another run
    trunks = _chosen(trunks_at(events, place), at, only)
    arms = [_arm(manifest, trunk, place, change) for change in wanted for trunk in trunks]
    study = _study(manifest, given, arms, at)
    say(f"{counted(len(trunks), 'investigation')} of {manifest.run}: branching off at {at}.")
    return carry_out(study, parent=manifest)


def _check_flags(given: Options) -> None:
    """Refuse the flags that a fork has no use for.

    Raises:
        UsageError: one is given.
    """
    if given.until_mde is not None or given.noise_floor:
        raise UsageError("fork: --until-mde and --noise-floor have no meaning; use --replicates.")
    kept = {"--seed": given.seed, "--phase": given.phase, "--share-prefix": given.share_prefix}
    if named := [flag for flag, value in kept.items() if value]:
        raise UsageError(
            f"fork: {', '.join(named)}: has no meaning; seeds, phases and what they share are those"
            " of the run."
        )


def _chosen(trunks: Sequence[Trunk], at: str, only: str) -> tuple[Trunk, ...]:
    """Return the trunks that `only` names and that have come as far as `at`.

    Raises:
        UsageError: there is none.
    """
    named = [trunk for trunk in trunks if fnmatchcase(trunk.start.investigation, only)]
    if not named:
        known = ", ".join(trunk.start.investigation for trunk in trunks[:6])
        raise UsageError(f"--only {only!r}: no investigation has such an id. There are: {known}.")
    reached = tuple(trunk for trunk in named if trunk.shared is not None)
    if not reached:
        raise UsageError(f"--at {at!r}: none of {len(named)} investigations has come that far.")
    if len(reached) < len(named):
        short = counted(len(named) - len(reached), "investigation")
        say(f"left out: {short} that never came as far as {at}.")
    return reached


class _Arm(NamedTuple):
    """One investigation of the run under one change."""

    trunk: Trunk
    change: Change
    phase: Phase

    @property
    def model(self) -> str:
        return self.change.value if self.change.key == "model" else self.trunk.start.model


def _arm(manifest: Manifest, trunk: Trunk, place: Place, change: Change) -> _Arm:
    phase = next(each for each in manifest.phases if each.key == trunk.start.phase)
    return _Arm(trunk, change, changed(phase, trunk, place, change))


def _begun(
    arm: _Arm, fork_of: ForkFacts, number: int, n_each: int, now: float
) -> InvestigationStarted:
    """Return the start of the `number`-th of `n_each` investigations of `arm`."""
    start, change = arm.trunk.start, arm.change
    replicate = start.replicate * n_each + number
    return InvestigationStarted(
        time=now,
        investigation=f"{arm.model}.{arm.phase.key}.{replicate}",
        model=arm.model,
        phase=arm.phase.key,
        replicate=replicate,
        seed=start.seed,
        stream=f"{start.stream}/{fork_of.at}/{number}",
        fork=Fork(
            investigation=start.investigation,
            run=fork_of.run,
            changes={change.key: change.value} if change.key else {},
            events=arm.trunk.shared or (),
        ),
    )


def _study(manifest: Manifest, given: Options, arms: Sequence[_Arm], at: str) -> Study:
    fork_of, n_each, now = ForkFacts(run=manifest.run, at=at), given.replicates, time.time()
    begun = [_begun(arm, fork_of, number, n_each, now) for number in range(n_each) for arm in arms]
    options = _options(manifest, given)
    models = tuple(dict.fromkeys(arm.model for arm in arms))
    known = (twins_of(manifest), endpoints_in(manifest), names_in(manifest))
    serving = chosen(options, models, *known)  # refuses a model that is not there
    serving = with_recorded_weights(serving, manifest.arms, given.checkpoint)
    _check_distinct(begun)
    return Study(
        serving=serving,
        phases=tuple({arm.phase.key: arm.phase for arm in arms}.values()),
        options=options,
        fork=fork_of,
        begun=tuple(begun),
    )


def _options(manifest: Manifest, given: Options) -> Options:
    """Return what is given, and for what is not the settings of the run."""
    kept = options_of(manifest)
    return replace(
        given,
        heritage=given.heritage or kept.heritage,
        wrong_heritage=given.wrong_heritage or kept.wrong_heritage,
        seed=kept.seed,
    )


def _check_distinct(begun: Sequence[InvestigationStarted]) -> None:
    ids = [start.investigation for start in begun]
    twice = next((case for place, case in enumerate(ids) if case in ids[:place]), None)
    if twice:
        raise UsageError(
            f"--set: two investigations would be {twice}: one that goes on with its own model and "
            "one that goes on with it. Choose one with --only, such as --only 'MODEL.*'."
        )
