"""Kernel calls that Python does not offer, by ctypes. Linux only; each raises `OSError`."""

import contextlib
import ctypes
import mmap
import os
import signal
from functools import cache
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_SA_NOCLDSTOP = 1
_PROGRAM = b"python"
_CAPABILITY_VERSION_3 = 0x20080522
_ARG_START, _ENV_END = 48 - 3, 51 - 3
"""Places in /proc/self/stat behind the name of the program; proc(5) counts from 1, and two more."""
_LANDLOCK_RESTRICT_SELF = 446
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class _SignalAction(ctypes.Structure):
    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


@cache
def _libc() -> ctypes.CDLL:
    """Return the C library; opened once, by the zygote, for a worker pays 0.1 ms each time."""
    return ctypes.CDLL(None, use_errno=True)


def clear_environment() -> None:
    """Empty the environment of C libraries, which Python does not see all of."""
    clear = getattr(_libc(), "clearenv", None)
    if clear is not None:
        clear()


def rename_program() -> None:
    """Let C libraries, too, call this program by a name that tells nothing.

    What it was started with, found by whoever looks where the stack began, is that name, too.
    """
    for name in ("program_invocation_name", "program_invocation_short_name"):
        with contextlib.suppress(ValueError):
            ctypes.c_char_p.in_dll(_libc(), name).value = _PROGRAM
    with contextlib.suppress(OSError):
        _overwrite_arguments()


def _overwrite_arguments() -> None:
    """Overwrite arguments, environment and the path of the program, which lie side by side."""
    told = Path("/proc/self/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    start, end = int(told[_ARG_START]), int(told[_ENV_END])
    # Not every kernel tells.
    if 0 < start < end:
        size = end - start + len(ctypes.string_at(end))
        ctypes.memset(start, 0, size)
        ctypes.memmove(start, _PROGRAM, min(size, len(_PROGRAM)))


def map_nothing(size_bytes: int) -> int:
    """Take address space of this process that nobody can read or write; return its start.

    Unlike a mapping of Python's own, it needs no page that can be written, and tells no audit hook.
    """
    libc = _libc()
    libc.mmap.restype = ctypes.c_void_p
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    size, none = ctypes.c_size_t(size_bytes), 0
    start = libc.mmap(None, size, none, flags, -1, ctypes.c_long(0))
    if start == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), f"no room for {size_bytes:,} bytes")
    return start


def unmap(start: int, size_bytes: int) -> None:
    """Give back what `map_nothing` took."""
    _checked(_libc().munmap(ctypes.c_void_p(start), ctypes.c_size_t(size_bytes)), "munmap")


def prctl(option: int, value: int) -> None:
    """Set one property of this process."""
    arguments = [ctypes.c_ulong(number) for number in (value, 0, 0, 0)]
    _checked(_libc().prctl(option, *arguments), f"prctl {option}")


def overlook_stopped_children() -> None:
    """Let SIGCHLD, whose handler stays, tell of ended children only."""
    action = _SignalAction()
    _checked(_libc().sigaction(signal.SIGCHLD, None, ctypes.byref(action)), "sigaction")
    action.flags |= _SA_NOCLDSTOP
    _checked(_libc().sigaction(signal.SIGCHLD, ctypes.byref(action), None), "sigaction")


def install_filter(program: bytes) -> None:
    """Load a seccomp program (an array of `sock_filter`) for good."""
    memory = ctypes.create_string_buffer(program, len(program))
    header = _Program(len(program) // 8, ctypes.addressof(memory))
    result = _libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0)
    _checked(result, "seccomp")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones."""
    _checked(_libc().unshare(flags), "unshare")


def mount(kind: str, target: str, flags: int) -> None:
    """Mount a nameless file system of `kind`, or change the mount at `target`."""
    name = kind.encode()
    _checked(_libc().mount(name, target.encode(), name, ctypes.c_ulong(flags), None), "mount")


def pivot_root_here() -> None:
    """Make the current directory, a mount point, the root; the old root is let go."""
    number = ctypes.c_long(_PIVOT_ROOT[os.uname().machine])
    _checked(_libc().syscall(number, b".", b"."), "pivot_root")
    _checked(_libc().umount2(b".", MNT_DETACH), "umount")
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every capability, those kept across exec included."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    number = ctypes.c_long(_CAPSET[os.uname().machine])
    _checked(_libc().syscall(number, header, nothing), "capset")


def landlock_restrict_self(ruleset_fd: int) -> None:
    """Submit to a Landlock ruleset for good."""
    number = ctypes.c_long(_LANDLOCK_RESTRICT_SELF)
    result = _libc().syscall(number, ctypes.c_int(ruleset_fd), ctypes.c_uint32(0))
    _checked(result, "landlock_restrict_self")
