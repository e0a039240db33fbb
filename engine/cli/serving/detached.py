"""A `serve` in the background: started, found again, and stopped.

It runs in a session of its own with files for its outputs, so it outlives the shell or the notebook
that started it, and nobody has to read a pipe for it.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.cli.exit_codes import USAGE
from engine.cli.serving.running import kept_dir
from engine.errors import NotReadyError, UsageError
from engine.settings import child_environment, read_settings
from servers.kept import STOP_S, Kept, make_directory, read_kept, stop_kept

LOG = "serve.log"
_POLL_S = 0.1
_TAIL_LINES = 12

Tell = Callable[[str], None]


def kept_servings() -> tuple[Kept, ...]:
    """Return every `serve` of this user that lives, oldest first."""
    return read_kept(kept_dir())


def stop(kept: Kept) -> None:
    """End a `serve` and all its servers; returns when nothing of it is left. Blocks."""
    stop_kept(kept_dir(), kept)


def start_detached(arguments: Sequence[str], *, tell: Tell, log_dir: Path | None = None) -> Kept:
    """Start a `serve` with these flags in the background, and return when its servers are ready.

    What it says meanwhile is passed on to `tell`. Interrupted, it is ended. Blocks.
    `log_dir`: where it logs; None: a new directory in the cache.

    Raises:
        UsageError: a flag is wrong.
        NotReadyError: the logs have no place, or a server did not become ready; nothing is left
            running.
    """
    if sys.platform == "win32":
        raise NotReadyError("--detach: not on Windows. Leave `serve` running in its own window.")
    log_dir = made_log_dir(log_dir, _new_log_dir())
    pid = _spawn(("serve", *arguments, "--logs", str(log_dir), "--background"), log_dir / LOG)
    try:
        return _until_ready(pid, log_dir / LOG, tell)
    except BaseException:
        _end(pid)
        raise


def _new_log_dir() -> Path:
    logs = read_settings().cache_dir / "logs"
    return logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def made_log_dir(given: Path | None, default: Path) -> Path:
    """Make the directory of the logs, the one that --logs gives or else that in the cache.

    Raises:
        NotReadyError: it cannot be made; names the flag or the variable that says where it is.
    """
    return make_directory(given, "--logs") if given else make_directory(default)


def _spawn(arguments: Sequence[str], log: Path) -> int:
    argv = (sys.executable, "-m", "engine.run", *arguments)
    outputs = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        sys.executable,
        argv,
        child_environment(),
        file_actions=(
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), outputs, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ),
        setsid=True,
    )


def _until_ready(pid: int, log: Path, tell: Tell) -> Kept:
    n_told = 0
    while True:
        code = _exit_code(pid)
        for kept in kept_servings():
            if kept.pid == pid and kept.is_ready:
                return kept
        lines, error = _said(log)
        for line in lines[n_told:]:
            tell(line)
        n_told = len(lines)
        if code is not None:
            raise _failure(code, error, lines, log)
        time.sleep(_POLL_S)


def _said(log: Path) -> tuple[list[str], str]:
    """Return the whole lines that were written, and the error at their end, if it is there."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    before, found, error = f"\n{text}".partition("\nerror: ")
    whole = before if found else before.rpartition("\n")[0]
    return whole.splitlines()[1:], error.strip()


def _failure(code: int, error: str, lines: Sequence[str], log: Path) -> Exception:
    if code == USAGE and error:
        return UsageError(error)
    tail = "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
    said = error or f"the servers ended with exit code {code} while they started. Its end:\n{tail}"
    return NotReadyError(f"{said}\nWhat was said meanwhile stands in {log}.")


def _exit_code(pid: int) -> int | None:
    """Return how the child ended; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _end(pid: int) -> None:
    """End the child, if it still runs: it ends its servers by itself, and they end without it."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        if _exit_code(pid) is not None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while _exit_code(pid) is None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL_S)
