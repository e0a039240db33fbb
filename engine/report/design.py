"""What a manifest says about how its arms are to be compared."""

from itertools import combinations
from urllib.parse import urlsplit

from engine.compare.cases import Question
from engine.endpoint import is_loopback
from engine.introspection.functions import functions_in
from engine.manifest import Arm, Manifest
from engine.phase import HERITAGE, Phase


def question_of(manifest: Manifest) -> Question:
    """Return what was settled before the run."""
    design = manifest.design
    return Question(
        arms=tuple(arm.model for arm in manifest.arms if arm.twin_of is None),
        twins={arm.model: arm.twin_of for arm in manifest.arms if arm.twin_of is not None},
        phases=tuple(phase.key for phase in manifest.phases),
        primary=design.primary,
        n_first=manifest.replicates if design.until_mde is not None else None,
        wanted=design.until_mde,
        is_shared=_is_shared(manifest),
    )


def n_functions(manifest: Manifest) -> dict[str, int]:
    """Return by phase how many introspection functions an investigation of it could use."""
    return {phase.key: len(_functions(phase, manifest)) for phase in manifest.phases}


def _functions(phase: Phase, manifest: Manifest) -> list[str]:
    granted = [name for name in phase.capabilities if name in manifest.capabilities]
    if phase.heritage:
        granted.append(HERITAGE)
    return [f"{name}.{each}" for name in granted for each in functions_in(name)]


def _is_shared(manifest: Manifest) -> bool:
    """Tell whether two models answered on one machine at the same time."""
    machines = [_machines(arm) for arm in manifest.arms if arm.twin_of is None]
    return manifest.schedule == "together" and any(a & b for a, b in combinations(machines, 2))


def _machines(arm: Arm) -> frozenset[str]:
    """Return the hosts at which a model answered; all names of this machine are one."""
    hosts = (urlsplit(url).hostname or "" for url in (arm.url, *arm.others))
    return frozenset("localhost" if is_loopback(host) else host for host in hosts)
