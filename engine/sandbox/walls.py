"""The walls around a worker by name, and the tier that a set of them amounts to."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from engine.sandbox import Tier


class Wall(StrEnum):
    """A wall that a machine may or may not have. The order is that of the seal."""

    NAMESPACES = "namespaces"
    """The zygote lives in mount, pid, network and IPC namespaces of its own, without any file."""
    CHROOT = "chroot"
    """The worker's root is an empty, nameless directory."""
    UID = "uid"
    """The worker has a user id that nothing else has."""
    LANDLOCK = "landlock"
    """The kernel's own denial of files, TCP and signals to others."""
    SECCOMP = "seccomp"
    """Only the system calls of a short list."""


STRENGTH = (Tier.CONTAINED_ONLY, Tier.SEALED, Tier.SEALED_NS)
"""Tiers, the weakest first."""


def tier_of(walls: Collection[str]) -> Tier:
    """Return the honest name for these walls: without seccomp there is no secrecy."""
    if Wall.SECCOMP not in walls:
        return Tier.CONTAINED_ONLY
    return Tier.SEALED_NS if Wall.NAMESPACES in walls else Tier.SEALED


_REMEDIES = {
    Wall.SECCOMP: "seccomp needs Linux and libseccomp (`apt-get install libseccomp2`); in a "
    "container its profile must let processes load filters",
    Wall.NAMESPACES: "namespaces need Linux 5.3 or later and a user who may create them (a "
    "container rarely may)",
    Wall.LANDLOCK: "Landlock needs Linux 5.13 or later with the module switched on",
    Wall.CHROOT: "an empty root needs root or user namespaces",
    Wall.UID: "a user id per worker needs root, who may signal other users (CAP_KILL)",
}


def remedies(missing: Mapping[str, str]) -> str:
    """Return one sentence per missing wall: why it is missing, and what would bring it."""
    return " ".join(
        f"Missing: {wall} ({missing[wall]}); {remedy}."
        for wall, remedy in reversed(_REMEDIES.items())
        if wall in missing
    )
