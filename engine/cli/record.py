"""The manifest of a study that is about to run."""

import time
from pathlib import Path

import msgspec

from engine.cli.knowledge import Knowledge
from engine.cli.provenance import git_revision, machine, versions
from engine.cli.study import Study
from engine.endpoint import Endpoint
from engine.manifest import Arm, Manifest, SandboxFacts
from engine.sandbox import Limits
from engine.sandbox.host import ProcessSandbox


def manifest_of(
    study: Study,
    directory: Path,
    *,
    endpoints: tuple[Endpoint, ...],
    knowledge: Knowledge,
    sandbox: ProcessSandbox,
    limits: Limits,
) -> Manifest:
    """Return what makes this run reproducible. No key, only the name of its variable."""
    return Manifest(
        run=directory.resolve().name,
        started=time.time(),
        seed=study.options.seed,
        replicates=study.options.replicates,
        concurrency=study.concurrency,
        serving=study.serving.kind,
        arms=tuple(_arm(endpoint, knowledge) for endpoint in endpoints),
        phases=study.phases,
        capabilities=knowledge.capabilities,
        sandbox=SandboxFacts(
            tier=sandbox.tier, walls=sandbox.walls, limits=msgspec.to_builtins(limits)
        ),
        versions=versions(),
        git_revision=git_revision(),
        machine=machine(),
    )


def _arm(endpoint: Endpoint, knowledge: Knowledge) -> Arm:
    fields = msgspec.structs.asdict(endpoint)
    return Arm(**fields, checkpoint_fingerprint=knowledge.fingerprint(endpoint.model))
