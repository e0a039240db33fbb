"""`resume RUN`: go on with a run that was interrupted or killed, at its next turn."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.cli.conduct import continue_study
from engine.cli.console import say
from engine.cli.counts import Limit
from engine.cli.invocation import see_through
from engine.cli.options import Deadline, Display, Options, Repeatable
from engine.cli.planning import Alternate
from engine.cli.serving.recorded import with_recorded_weights
from engine.cli.serving.twins import chosen
from engine.cli.study import Study
from engine.endpoint import Endpoint
from engine.manifest import Arm, Manifest, read_manifest
from servers.model import PRECISIONS, Precision


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Until:
    """When to stop once more."""

    deadline: Deadline = None
    """Begin no turn later than this from now (11h30m, 45m, 90s)."""
    max_turns: Limit = None
    """Turns of the whole run, those before included."""
    max_tokens: Limit = None
    """Prompt and completion tokens of the whole run, those before included."""


def resume(
    run: Path,
    /,
    *,
    endpoint: Annotated[tuple[str, ...], Repeatable] = (),
    checkpoint: Annotated[tuple[str, ...], Repeatable] = (),
    until: Until | None = None,
    display: Display = "auto",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Go on with a run that was interrupted or killed.

    Every investigation that the model did not end by itself continues at its next turn, with the
    settings of the run's manifest. A completion that was received is not asked for again.

    Parameters
    ----------
    run
        Run directory.
    endpoint
        NAME=URL[#MODEL]: the same model at another address. Repeatable.
    checkpoint
        NAME=DIR or NAME=OWNER/NAME[@REVISION]: the same weights at another place. Repeatable.
    display
        Live progress. auto: rich in a terminal, bar in a notebook, plain otherwise.
    as_json
        Print the summary as JSON instead of a table.
    """
    manifest, until = read_manifest(run), until or Until()
    options = replace(
        options_of(manifest, endpoint),
        checkpoint=checkpoint,
        deadline=until.deadline,
        max_turns=until.max_turns,
        max_tokens=until.max_tokens,
        display=display,
    )
    arms = [arm.model for arm in manifest.arms]
    serving = chosen(options, arms, twins_of(manifest), endpoints_in(manifest), names_in(manifest))
    serving = with_recorded_weights(serving, manifest.arms, checkpoint)
    study = Study(
        serving=serving,
        phases=manifest.phases,
        options=options,
        fork=manifest.fork,
    )
    say(f"going on with {run}: {serving.reason}")
    return see_through(lambda drain: continue_study(study, run, drain), run, as_json=as_json)


def twins_of(manifest: Manifest) -> dict[str, str]:
    """Return by name whose model the arms have that are twins."""
    return {arm.model: arm.twin_of for arm in manifest.arms if arm.twin_of}


def options_of(manifest: Manifest, endpoint: tuple[str, ...] = ()) -> Options:
    """Return the settings of a run, but for its endpoints; `endpoint` is given beside it."""
    folders = {name: item.directory for name, item in manifest.documents.items() if item.directory}
    launch = manifest.launch
    return Options(
        hardware=launch.hardware if launch else None,
        quantization=_precision(launch.quantization) if launch else None,
        vllm=Path(launch.vllm) if launch and launch.vllm else None,
        alternate=_alternate(manifest.schedule),
        heritage=Path(folders["true"]) if "true" in folders else None,
        wrong_heritage=Path(folders["wrong"]) if "wrong" in folders else None,
        endpoint=endpoint,
        replicates=manifest.replicates,
        primary=manifest.design.primary,
        until_mde=manifest.design.until_mde,
        max_replicates=manifest.design.max_replicates,
        seed=manifest.seed,
        concurrency=manifest.concurrency,
        share_prefix=manifest.shares_prefix,
        allow_contained_only=manifest.sandbox.tier == "contained-only",
    )


def endpoints_in(manifest: Manifest) -> tuple[Endpoint, ...]:
    """Return the endpoints that were given to a run, as they were."""
    return tuple(_endpoint(arm) for arm in manifest.arms if arm.is_given)


def names_in(manifest: Manifest) -> dict[str, str]:
    """Return by arm what its model was called when the run was begun: no key finds a directory."""
    return manifest.launch.names if manifest.launch else {}


def _precision(name: str | None) -> Precision | None:
    return next((each for each in PRECISIONS if each == name), None)


def _alternate(schedule: str) -> Alternate:
    """Arms that answered at once do so again, or the run does not go on; and turns stay turns."""
    return "sleep" if schedule == "sleep" else "serial" if schedule == "serial" else "never"


def _endpoint(arm: Arm) -> Endpoint:
    """Return where `arm` answered; what it serves now is asked anew."""
    values = arm.model_dump(include={*Endpoint.__struct_fields__} - {"max_model_len"})
    return msgspec.convert(values, Endpoint)
