"""Seals a worker, in this order, for good; a step that fails ends the worker.

Descriptors, death with the parent, no new privileges, limits, empty root and own user, Landlock,
and the filter last, since every other step needs calls that it refuses.
"""

import os
import resource
import signal
import sys

import msgspec

from engine.sandbox import kernel
from engine.sandbox.walls import Wall

CHANNEL_FD = 3
MAX_ZYGOTE_FDS = 1_024
_FIRST_FREE_FD = 4
_MAX_FDS = 16
_CPU_S = 6 * 3600
_STACK_BYTES = 64 << 20
"""For the deepest recursion that is let through, in C too: 6 KiB a call."""
_NICENESS = 5


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the zygote made ready, once, for all its workers."""

    walls: frozenset[Wall]
    null_fd: int
    root_fd: int = -1
    """An empty directory."""
    ruleset_fd: int = -1
    """A Landlock ruleset that allows nothing."""
    uid_base: int = 0
    program: bytes = b""
    """The compiled seccomp filter."""


def seal(plan: Plan, *, place: int, channel_fd: int, memory_bytes: int) -> None:
    """Put up every wall of `plan` around this process.

    No other worker that lives has its `place`, a number that counts from 0.

    Raises:
        OSError: a wall does not stand; the process must end.
    """
    parent = os.getppid()
    os.setsid()
    _only_channel(plan, channel_fd)
    if sys.platform == "linux":
        _tie_to_parent(parent)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    _limit(memory_bytes)
    _leave_files_and_user(plan, place)
    if sys.platform == "linux":
        # A change of user id has undone both.
        _tie_to_parent(parent)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    if Wall.LANDLOCK in plan.walls:
        kernel.landlock_restrict_self(plan.ruleset_fd)
    os.closerange(_FIRST_FREE_FD, _MAX_FDS)
    if Wall.SECCOMP in plan.walls:
        kernel.install_filter(plan.program)


def _only_channel(plan: Plan, channel_fd: int) -> None:
    for standard in (0, 1, 2):
        os.dup2(plan.null_fd, standard)
    os.dup2(channel_fd, CHANNEL_FD)
    kept = sorted(fd for fd in (plan.root_fd, plan.ruleset_fd) if fd >= 0)
    starts = [_FIRST_FREE_FD, *(fd + 1 for fd in kept)]
    ends = [*kept, MAX_ZYGOTE_FDS]
    for start, end in zip(starts, ends, strict=True):
        os.closerange(start, end)


def _tie_to_parent(parent: int) -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _limit(memory_bytes: int) -> None:
    limits = {
        "RLIMIT_AS": memory_bytes,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": _MAX_FDS,
        "RLIMIT_NPROC": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_CPU": _CPU_S,
        "RLIMIT_STACK": _STACK_BYTES,
    }
    for name, value in limits.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            _lower(kind, value)
    os.nice(_NICENESS)


def _lower(kind: int, value: int) -> None:
    _soft, hard = resource.getrlimit(kind)
    cap = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (cap, cap))
    except (OSError, ValueError):
        # Only Linux keeps all of these limits; elsewhere the tier makes no promise.
        if sys.platform == "linux":
            raise


def _leave_files_and_user(plan: Plan, place: int) -> None:
    if Wall.CHROOT in plan.walls:
        os.fchdir(plan.root_fd)
        os.chroot(".")
    if plan.root_fd >= 0:
        os.close(plan.root_fd)
    if Wall.UID in plan.walls:
        own = plan.uid_base + place
        os.setgroups([])
        os.setresgid(own, own, own)
        os.setresuid(own, own, own)
    if sys.platform == "linux":
        kernel.drop_capabilities()
