"""The extra wall: a zygote in namespaces of its own, whose file system is one empty directory."""

import os
import signal
from pathlib import Path

from engine.sandbox import kernel

_FLAGS = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
)
_MOUNT_POINT = "/tmp"  # noqa: S108 - nothing is stored there; any directory that exists will do


def enter() -> None:
    """Move into new namespaces; returns in their first process, its parent only waits.

    Everything that needs a file must have been read before.

    Raises:
        OSError: this machine, or this container, does not let us.
    """
    _unshare()
    _become_first_process()
    kernel.mount("none", "/", kernel.MS_REC | kernel.MS_PRIVATE)
    sealed = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("tmpfs", _MOUNT_POINT, sealed)
    os.chdir(_MOUNT_POINT)
    kernel.pivot_root_here()
    kernel.mount("tmpfs", "/", sealed | kernel.MS_REMOUNT | kernel.MS_RDONLY)


def _unshare() -> None:
    try:
        kernel.unshare(_FLAGS)
    except PermissionError:
        uid, gid = os.geteuid(), os.getegid()
        kernel.unshare(_FLAGS | kernel.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", "ascii")


def _become_first_process() -> None:
    pid = os.fork()
    if pid:
        _wait_for(pid)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for(pid: int) -> None:
    """Stand in for the zygote in the old namespaces, holding nothing open."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    _, status = os.waitpid(pid, 0)
    os._exit(0 if status == 0 else 1)
