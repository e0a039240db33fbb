"""The walls around a worker by name, and the tier that a set of them amounts to."""

from collections.abc import Collection
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
