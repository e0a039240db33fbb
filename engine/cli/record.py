"""The manifest of a study that is about to run."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import msgspec

from engine.cli.console import say
from engine.cli.knowledge import Knowledge
from engine.cli.library import facts_of
from engine.cli.provenance import git_revision, machine, versions
from engine.cli.study import Study, design_of
from engine.endpoint import Endpoint
from engine.errors import UsageError
from engine.introspection.checkpoint import is_same
from engine.introspection.facts import facts_of as model_facts
from engine.manifest import Arm, Certificate, LaunchFacts, Manifest, ModelFacts, SandboxFacts
from engine.sandbox import Limits
from engine.sandbox.host import ProcessSandbox
from engine.settings import read_settings

_OF_ARMS = ("served_model", "checkpoint_fingerprint", "max_model_len", "has_system_role")
"""What shapes the results of an arm."""
_WEIGHTS = "checkpoint_fingerprint of "


def manifest_of(
    study: Study,
    directory: Path,
    *,
    endpoints: tuple[Endpoint, ...],
    knowledge: Knowledge,
    purity: dict[str, Certificate],
    sandbox: SandboxFacts,
) -> Manifest:
    """Return what makes this run reproducible. No key, only the name of its variable."""
    return Manifest(
        run=directory.resolve().name,
        started=time.time(),
        seed=study.options.seed,
        replicates=study.options.replicates,
        design=design_of(study.options),
        concurrency=study.concurrency,
        serving=study.serving.kind,
        schedule=study.serving.schedule,
        launch=_launch(study),
        arms=tuple(_arm(endpoint, knowledge, study) for endpoint in endpoints),
        phases=study.phases,
        capabilities=knowledge.capabilities,
        probe=knowledge.probe,
        shares_prefix=study.options.share_prefix,
        fork=study.fork,
        purity=purity,
        documents=facts_of(knowledge.library, study.phases, study.options),
        sandbox=sandbox,
        versions=versions(),
        git_revision=git_revision(),
        machine=machine(),
    )


def _launch(study: Study) -> LaunchFacts | None:
    weights, options = study.serving.weights, study.options
    if not weights:
        return None
    return LaunchFacts(
        names={model: each.name for model, each in weights.items()},
        hardware=options.hardware,
        quantization=options.quantization or read_settings().quantization,
        vllm=str(options.vllm.absolute()) if options.vllm else None,
    )


def sandbox_facts(sandbox: ProcessSandbox, limits: Limits) -> SandboxFacts:
    """Return how model code is held."""
    return SandboxFacts(tier=sandbox.tier, walls=sandbox.walls, limits=msgspec.to_builtins(limits))


def check_unchanged(before: Manifest, now: Manifest) -> None:
    """Compare the conditions of a run with those under which it is to go on.

    Another address, machine or version is allowed: the journal says when the run was taken up.

    Raises:
        UsageError: a condition that shapes results has changed; every such field is named.
    """
    pairs = list(_changes(_conditions(before), _conditions(now)))
    if pairs:
        listed = "; ".join(f"{name} was {old!r} and is {new!r}" for name, old, new in pairs)
        raise UsageError(
            f"this run cannot go on under changed conditions: {listed}. "
            f"{_weights_remedy(name for name, _, _ in pairs)}Restore them, or start a new run."
        )


def _weights_remedy(changed: Iterable[str]) -> str:
    """Return the flag for weights that are not the recorded ones: those may lie elsewhere."""
    others = [name.removeprefix(_WEIGHTS) for name in changed if name.startswith(_WEIGHTS)]
    flags = " ".join(f"--checkpoint {name}=DIR" for name in others)
    return f"Name the weights that it has read with {flags}. " if flags else ""


def tell_moved(before: Manifest, now: Manifest) -> None:
    """Say which weights are read at another place, and how far they were compared."""
    places = {arm.model: arm.checkpoint for arm in before.arms}
    for arm in now.arms:
        if arm.checkpoint and arm.checkpoint != places[arm.model]:
            say(
                f"{arm.model}: its weights are read from {arm.checkpoint}, no longer from "
                f"{places[arm.model]}: configuration, sizes and samples are the same; values "
                "between samples were not compared."
            )


def check_alike(parent: Manifest, now: Manifest) -> None:
    """Compare the conditions that a run and its forks both have.

    Raises:
        UsageError: what a fork inherits was made under others; every such field is named.
    """
    old, new = _conditions(parent), _conditions(now)
    both = old.keys() & new.keys()
    changed = [name for name in both if not _is_kept(name, old[name], new[name])]
    if changed:
        listed = "; ".join(f"{name} was {old[name]!r} and is {new[name]!r}" for name in changed)
        raise UsageError(
            f"what is shared was made under other conditions: {listed}. "
            f"{_weights_remedy(changed)}Restore them."
        )


def _is_kept(name: str, before: object, now: object) -> bool:
    """Return whether a condition is as it was; a run may have recorded less of its weights."""
    if name.startswith(_WEIGHTS):
        return is_same(cast("str | None", before), cast("str | None", now))
    return before == now


def _conditions(manifest: Manifest) -> dict[str, object]:
    """Return by name what may not differ within one run."""
    arms = {
        f"{field} of {arm.model}": getattr(arm, field)
        for arm in manifest.arms
        for field in _OF_ARMS
    }
    documents = {
        f"{name} documents": facts.fingerprint for name, facts in manifest.documents.items()
    }
    limits = {f"sandbox limit {name}": limit for name, limit in manifest.sandbox.limits.items()}
    return {
        **arms,
        **documents,
        **limits,
        "capabilities": manifest.capabilities,
        "schedule": manifest.schedule,
        "number format of the probe": manifest.probe.dtype if manifest.probe else None,
        "sandbox tier": manifest.sandbox.tier,
    }


def _changes(
    before: dict[str, object], now: dict[str, object]
) -> Iterator[tuple[str, object, object]]:
    for name in sorted(before.keys() | now.keys()):
        if not _is_kept(name, before.get(name), now.get(name)):
            yield name, before.get(name), now.get(name)


def _arm(endpoint: Endpoint, knowledge: Knowledge, study: Study) -> Arm:
    known = knowledge.checkpoint(endpoint.model)
    pinned = msgspec.structs.replace(endpoint, checkpoint=known.origin if known else None)
    facts = msgspec.structs.asdict(model_facts(known)) if known else None
    return Arm(
        **msgspec.to_builtins(pinned),
        checkpoint_fingerprint=known.fingerprint if known else None,
        is_given=endpoint.model in study.serving.given,
        facts=ModelFacts.model_validate(facts) if facts else None,
        twin_of=study.serving.twins.get(endpoint.model),
    )
