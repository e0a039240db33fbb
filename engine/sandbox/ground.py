"""What the zygote finds out and makes ready before it forks: which walls stand here.

A wall counts only by its effect: each is tried in a forked child, which must then be unable to do
what the wall is there to prevent.
"""

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from engine.sandbox import filter as calls
from engine.sandbox import kernel, namespaces
from engine.sandbox.seal import Plan
from engine.sandbox.walls import Wall

_UID_BASES = (1_700_000_000, 40_000)
"""First own user id of workers; the second where a container has only 65,536 ids."""
_MAX_REASON_BYTES = 400
_KNOCKED_OUT = "left out on request"


class Ground:
    """The walls prepared so far, and why others are missing."""

    def __init__(self, without: Collection[str]) -> None:
        """Leave out the walls named in `without`."""
        self.missing: dict[str, str] = {str(wall): _KNOCKED_OUT for wall in Wall if wall in without}
        self.has_namespaces = False
        self._null_fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._ruleset_fd = -1
        self._program = b""

    def prepare(self) -> None:
        """Do everything that needs files or modules."""
        self._make(Wall.SECCOMP, self._make_program)
        self._make(Wall.LANDLOCK, self._make_ruleset)
        self.has_namespaces = self._stands(Wall.NAMESPACES, _try_namespaces)

    def plan(self) -> Plan:
        """Enter the namespaces if there are any, then try the other walls and settle on those."""
        if self.has_namespaces:
            namespaces.enter()
        root_fd = _empty_directory(is_root_empty=self.has_namespaces)
        bases = (base for base in _UID_BASES if not _trial(partial(_try_uid, base)))
        uid_base = next(bases, _UID_BASES[-1])
        trials: dict[Wall, Callable[[], None]] = {
            Wall.CHROOT: partial(_try_chroot, root_fd),
            Wall.UID: partial(_try_uid, uid_base),
            Wall.LANDLOCK: partial(_try_landlock, self._ruleset_fd),
            Wall.SECCOMP: partial(_try_filter, self._program),
        }
        walls = {wall for wall, trial in trials.items() if self._stands(wall, trial)}
        if self.has_namespaces:
            walls.add(Wall.NAMESPACES)
        return Plan(
            walls=frozenset(walls),
            null_fd=self._null_fd,
            root_fd=root_fd,
            ruleset_fd=self._ruleset_fd if Wall.LANDLOCK in walls else -1,
            uid_base=uid_base,
            program=self._program,
        )

    def _make(self, wall: Wall, make: Callable[[], None]) -> None:
        if wall in self.missing:
            return
        try:
            make()
        except Exception as error:  # noqa: BLE001 - a missing library shows in many ways
            self.missing[wall] = _reason(error)

    def _make_program(self) -> None:
        self._program = calls.program()

    def _make_ruleset(self) -> None:
        import py_landlock as landlock

        abi = landlock.get_abi_version()
        ruleset = landlock.RulesetAttr(
            handled_access_fs=landlock.abi.get_supported_fs(abi),
            handled_access_net=landlock.abi.get_supported_net(abi),
            scoped=landlock.abi.get_supported_scope(abi),
        )
        self._ruleset_fd = landlock.create_ruleset(ruleset)

    def _stands(self, wall: Wall, trial: Callable[[], None]) -> bool:
        if wall not in self.missing and (reason := _trial(trial)):
            self.missing[wall] = reason
        return wall not in self.missing


def prepare(without: Collection[str]) -> Ground:
    """Return the ground with all that needs files done."""
    ground = Ground(without)
    ground.prepare()
    return ground


def _trial(act: Callable[[], None]) -> str:
    """Return why `act` fails in a child of its own, "" if it does not."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _act_and_leave(act, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        reason = pipe.read(_MAX_REASON_BYTES).decode("utf-8", "replace")
    _, status = os.waitpid(pid, 0)
    return reason if reason or status == 0 else f"the trial ended with status {status}"


def _act_and_leave(act: Callable[[], None], writer: int) -> None:
    status = 1
    try:
        act()
        status = 0
    except BaseException as error:  # noqa: BLE001 - the reason is the result
        os.write(writer, _reason(error).encode()[:_MAX_REASON_BYTES])
    finally:
        os._exit(status)


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _empty_directory(*, is_root_empty: bool) -> int:
    if is_root_empty:
        return os.open("/", os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        path = tempfile.mkdtemp(prefix="sandbox-")
    except OSError:
        return -1
    try:
        return os.open(path, os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        # The descriptor keeps it; nothing is left behind, however the zygote ends.
        Path(path).rmdir()


def _refused(act: Callable[[], object], what: str) -> None:
    try:
        act()
    except PermissionError:
        return
    raise OSError(f"it was put up, but {what} is still possible")


def _try_namespaces() -> None:
    _try_pidfd()
    namespaces.enter()
    if os.getpid() != 1 or any(Path("/").iterdir()):
        raise OSError("the new namespaces are not empty")


def _try_pidfd() -> None:
    """See that the host can signal processes whose numbers it does not know."""
    try:
        signal.pidfd_send_signal(os.pidfd_open(os.getpid()), 0)
    except (AttributeError, OSError) as error:
        raise OSError(f"nobody outside could signal a worker in them: {_reason(error)}") from error


def _try_reach(uid: int) -> None:
    """See that a worker with a user id of its own can be signalled."""
    ours, its = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.setresuid(uid, uid, uid)
        its.send(b".")
        its.recv(1)
        os._exit(0)
    its.close()
    ours.recv(1)
    try:
        os.kill(pid, 0)
    except PermissionError as error:
        raise OSError("processes of other users cannot be signalled") from error
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _try_chroot(root_fd: int) -> None:
    os.fchdir(root_fd)
    os.chroot(".")
    if Path("/proc").exists() or Path("/usr").exists():
        raise OSError("the new root is not empty")


def _try_uid(base: int) -> None:
    os.setgroups([])
    os.setresgid(base, base, base)
    _try_reach(base)
    os.setresuid(base, base, base)
    _refused(lambda: os.setresuid(0, 0, 0), "becoming root")


def _try_landlock(ruleset_fd: int) -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.landlock_restrict_self(ruleset_fd)
    _refused(lambda: next(os.scandir("/")), "listing a directory")


def _try_filter(program: bytes) -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.install_filter(program)
    _refused(socket.socket, "opening a socket")
    _refused(lambda: os.kill(os.getppid(), 0), "signalling the parent")
