"""Where attacks are carried out: as root and as a plain user, with walls knocked out, and under a
filter and capabilities like those that Docker gives by default."""

import ctypes
import errno
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from engine.sandbox import Tier, kernel

NOBODY = 65_534
_PR_CAPBSET_DROP = 24
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_READ_SEARCH = 2
_LAST_CAP = 40
_DOCKER_CAPS = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})
"""CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT
MKNOD AUDIT_WRITE SETFCAP. Source: Docker Engine documentation, "Runtime privilege and Linux
capabilities" (2025)."""
_DOCKER_DENIES = """
unshare setns mount umount2 pivot_root pidfd_getfd keyctl add_key request_key bpf perf_event_open
userfaultfd io_uring_setup io_uring_enter io_uring_register kexec_load open_by_handle_at
init_module finit_module delete_module quotactl swapon swapoff reboot acct settimeofday
fsopen fsmount fsconfig fspick open_tree move_mount mount_setattr
"""
_CLONE_NEW = 0x7E020000


@dataclass(frozen=True)
class Ground:
    """One place to carry out the attacks."""

    name: str
    tier: Tier
    """The tier that must be reached and told."""
    without: tuple[str, ...] = ()
    is_root: bool = True
    is_docker: bool = False
    is_for_the_rest: bool = False
    """Attacks that are not about walls are carried out here, too."""

    @property
    def has_walls(self) -> bool:
        """Whether secrecy is promised here."""
        return self.tier is not Tier.CONTAINED_ONLY

    def stand(self) -> None:
        """Change this process for good."""
        if self.is_docker:
            _load_docker_filter()
            if self.is_root:
                _drop_to_docker_caps()
        if not self.is_root and os.geteuid() == 0:
            _become_nobody()

    @property
    def is_possible(self) -> bool:
        """Whether this process can go there."""
        return os.geteuid() == 0 or not self.is_root


def _drop_to_docker_caps() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in set(range(_LAST_CAP + 1)) - _DOCKER_CAPS:
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    mask = sum(1 << capability for capability in _DOCKER_CAPS)
    _capset(libc, mask, inheritable=0)


def _capset(libc: ctypes.CDLL, mask: int, *, inheritable: int) -> None:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = (ctypes.c_uint32 * 6)(low, low, inheritable & 0xFFFFFFFF, high, high, inheritable >> 32)
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


def _load_docker_filter() -> None:
    import pyseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    denied = pyseccomp.ERRNO(errno.EPERM)
    for name in _DOCKER_DENIES.split():
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            rules.add_rule(denied, name)
    for bit in range(_CLONE_NEW.bit_length()):
        flag = _CLONE_NEW & (1 << bit)
        if flag:
            rules.add_rule(denied, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    if os.geteuid() != 0:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    else:
        rules.set_attr(pyseccomp.Attr.CTL_NNP, 0)
    rules.load()


def _become_nobody() -> None:
    """Become a plain user; the right to read stays where Python itself lies in a private folder."""
    libc = ctypes.CDLL(None, use_errno=True)
    needs_reading = not _is_readable_by_all(Path(sys.executable).resolve())
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    mask = 1 << _CAP_DAC_READ_SEARCH if needs_reading else 0
    _capset(libc, mask, inheritable=mask)
    if needs_reading:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0)


def _is_readable_by_all(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in [path, *path.parents])


_NO_SECOND_WALL = ("namespaces", "landlock", "chroot", "uid")
_ALL = (
    Ground("root", Tier.SEALED_NS, is_for_the_rest=True),
    Ground("root, no namespaces", Tier.SEALED, without=("namespaces",)),
    Ground("root, no Landlock", Tier.SEALED, without=("namespaces", "landlock")),
    Ground("root, seccomp alone", Tier.SEALED, without=_NO_SECOND_WALL),
    Ground("root in Docker", Tier.SEALED, is_docker=True),
    Ground("root in Docker, no Landlock", Tier.SEALED, without=("landlock",), is_docker=True),
    Ground("user", Tier.SEALED_NS, is_root=False),
    Ground("user, seccomp alone", Tier.SEALED, without=_NO_SECOND_WALL, is_root=False),
    Ground("user in Docker", Tier.SEALED, is_root=False, is_docker=True),
    Ground(
        "user, no wall at all",
        Tier.CONTAINED_ONLY,
        without=(*_NO_SECOND_WALL, "seccomp"),
        is_root=False,
        is_for_the_rest=True,
    ),
)
GROUNDS = {ground.name: ground for ground in _ALL}
