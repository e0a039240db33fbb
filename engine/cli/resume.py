"""`resume RUN`: go on with a run that was interrupted or killed, at its next turn."""

from dataclasses import replace
from pathlib import Path

from engine.cli.conduct import continue_study, see_through
from engine.cli.console import say
from engine.cli.options import Deadline, Display, Options
from engine.cli.serving.choice import choose
from engine.cli.study import Study
from engine.manifest import Arm, Manifest, read_manifest


def resume(
    run: Path,
    /,
    *,
    endpoint: tuple[str, ...] = (),
    deadline: Deadline = None,
    max_turns: int | None = None,
    max_tokens: int | None = None,
    display: Display = "auto",
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
    deadline
        Begin no turn later than this from now (11h30m, 45m, 90s).
    max_turns
        Turns of the whole run, those before included.
    max_tokens
        Prompt and completion tokens of the whole run, those before included.
    display
        Live progress: rich in a terminal, plain otherwise.
    """
    manifest = read_manifest(run)
    options = replace(
        options_of(manifest, endpoint),
        deadline=deadline,
        max_turns=max_turns,
        max_tokens=max_tokens,
        display=display,
    )
    serving = choose(options, [arm.model for arm in manifest.arms])
    study = Study(
        serving=serving,
        phases=manifest.phases,
        options=options,
        fork=manifest.fork,
    )
    say(f"going on with {run}: {serving.reason}")
    return see_through(lambda drain: continue_study(study, run, drain), run, as_json=False)


def options_of(manifest: Manifest, endpoint: tuple[str, ...] = ()) -> Options:
    """Return the settings of a run; `endpoint` takes the place of addresses, or adds some."""
    folders = {name: item.directory for name, item in manifest.documents.items() if item.directory}
    return Options(
        heritage=Path(folders["true"]) if "true" in folders else None,
        wrong_heritage=Path(folders["wrong"]) if "wrong" in folders else None,
        endpoint=_endpoints(manifest, endpoint),
        checkpoint=_checkpoints(manifest),
        replicates=manifest.replicates,
        seed=manifest.seed,
        concurrency=manifest.concurrency,
        share_prefix=manifest.shares_prefix,
        allow_contained_only=manifest.sandbox.tier == "contained-only",
    )


def _endpoints(manifest: Manifest, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses of the run's arms, replaced by those given."""
    if manifest.serving != "endpoint":
        return given
    moved = {text.partition("=")[0] for text in given}
    kept = [_address(arm) for arm in manifest.arms if arm.model not in moved]
    return (*kept, *given)


def _address(arm: Arm) -> str:
    return f"{arm.model}={','.join((arm.url, *arm.others))}#{arm.served_model}"


def _checkpoints(manifest: Manifest) -> tuple[str, ...]:
    if manifest.serving != "endpoint":
        return ()
    return tuple(f"{arm.model}={arm.checkpoint}" for arm in manifest.arms if arm.checkpoint)
