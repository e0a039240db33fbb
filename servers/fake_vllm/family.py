"""The fake's child processes: like vLLM's, they outlive their parent, and SIGTERM for a while."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence

_LONGEST_S = 900.0
_DEAF_S = 4.0
"""Time for which vLLM's orphans ignore SIGTERM. Source: serving-gpu.md section 4, measured."""


def start_family() -> tuple[int, int]:
    """Fork an engine process, and from it a worker; return both process ids."""
    read_end, write_end = os.pipe()
    engine = os.fork()
    if engine == 0:
        worker = os.fork()
        if worker:
            os.write(write_end, str(worker).encode())
        _sleep_on()
    os.close(write_end)
    try:
        return engine, int(os.read(read_end, 32))
    finally:
        os.close(read_end)


def end_family(pids: Sequence[int]) -> None:
    """End what was started, as vLLM does when it ends by itself."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_alive(engine: int) -> bool:
    """Say whether the engine process still runs."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(engine, os.WNOHANG)[0] == 0
    return False


def _sleep_on() -> None:
    signal.signal(signal.SIGTERM, _deafly)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(_LONGEST_S)
    os._exit(0)


def _deafly(_number: int, _frame: object) -> None:
    time.sleep(_DEAF_S)
    os._exit(0)
