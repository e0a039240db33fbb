"""The program between launcher and server: ends the server when the launcher is gone, however.

vLLM's own children survive their parent: they keep the memory of the card after the API process was
killed, and no death signal reaches them. So each server has a keeper, the leader of a session of
its own, which adopts whatever the server leaves behind and returns only when all of it has ended.
Stands alone on purpose (standard library only): the launcher runs it by its path.

    keeper.py TERM_S HURRY_S PROGRAM ARGUMENT...

Standard input is a pipe that only the launcher holds. A line on it, or SIGTERM, asks to stop: the
server gets SIGTERM and TERM_S to end. End of file means that the launcher is gone: its group gets
SIGTERM and HURRY_S. After that, SIGKILL to all that is left. The exit code is the server's (128 +
signal if a signal ended it; 127 if the program could not be started).
"""

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_NOT_STARTED = 127
_KILL_S = 3.0
_LOOK_S = 0.05


def main(arguments: Sequence[str]) -> int:
    """Run the server to its end, or to the launcher's."""
    term_s, hurry_s, *argv = arguments
    wake = _wake_on_signals()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        sys.stderr.write(f"keeper: cannot start {argv[0]}: {error.strerror}\n")
        return _NOT_STARTED
    family = Family(server.pid)
    if family.wait(wake):
        family.signal(signal.SIGTERM, only_server=True)
        family.wait_all(float(term_s))
    else:
        family.signal(signal.SIGTERM)
        family.wait_all(float(hurry_s))
    family.end()
    return family.code


class Family:
    """The server and all that descends from it."""

    def __init__(self, pid: int) -> None:
        """Take over the server with this process id, the leader of its group."""
        self._pid = pid
        self.code = 128 + signal.SIGKILL
        self._is_running = True

    def wait(self, wake: socket.socket) -> bool:
        """Return True when asked to stop, False when server or launcher are gone."""
        while self._reap():
            readable, _, _ = select.select([0, wake], [], [])
            if 0 in readable:
                return bool(os.read(0, 4096))
            if signal.SIGTERM in wake.recv(4096):
                return True
        return False

    def wait_all(self, within_s: float) -> bool:
        """Return whether everyone has ended within that time."""
        deadline = time.monotonic() + within_s
        while self._reap() or self._has_group() or _children():
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_S)
        return True

    def signal(self, number: signal.Signals, *, only_server: bool = False) -> None:
        """Send a signal to the group, or to the server's first process alone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.kill if only_server else os.killpg)(self._pid, number)

    def end(self) -> None:
        """Kill whoever is left, those who moved to other groups too."""
        deadline = time.monotonic() + _KILL_S
        while time.monotonic() < deadline:
            self.signal(signal.SIGKILL)
            for child in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            if self.wait_all(_LOOK_S):
                return

    def _reap(self) -> bool:
        """Collect those who have ended; return whether the server's first process still runs."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return self._is_running
            if pid == self._pid:
                code = os.waitstatus_to_exitcode(status)
                self.code = code if code >= 0 else 128 - code
                self._is_running = False

    def _has_group(self) -> bool:
        try:
            os.killpg(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _children() -> list[int]:
    """Children of this process, the adopted among them; empty where the kernel does not say."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


def _wake_on_signals() -> socket.socket:
    """Return a socket that has something to read after SIGCHLD, SIGTERM and their like."""
    wake, write_end = socket.socketpair()
    write_end.setblocking(False)  # noqa: FBT003 - the signature is Python's own
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    signal.set_wakeup_fd(write_end.detach())
    return wake


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
