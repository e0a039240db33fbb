"""Google Drive as the place where a run outlives its machine. Optional.

A run is worked on in a local directory, for Drive is slow and knows no locks. What is copied is a
snapshot that can be taken up: the manifest, the journal to the end of a whole line, and the files
that are replaced whole. It is complete or it is the one before, and one is made after another.
"""

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from uuid import uuid4

from engine.cli.console import say
from engine.errors import UsageError

_MOUNT = Path("/content/drive")
_EVERY_S = 60.0
_SHARE = 20
"""Copying takes no more than one part in so many of the time."""
_JOURNAL = "events.jsonl"
_DRAFT = ".part"
_LEFT_OUT = (_DRAFT, ".sqlite", ".sqlite-wal", ".sqlite-shm")
"""Unfinished, or made again from the journal at will."""
_ONE_AT_A_TIME = threading.Lock()
"""Held by whoever writes to Drive: what was begun first is never written last."""


def mounted(folder: str, mount: Path = _MOUNT) -> Path | None:
    """Return the directory of Drive that is called `folder`, mounted; None: no folder is named.

    Raises:
        UsageError: Drive cannot be mounted here.
    """
    if not folder:
        return None
    try:
        import_module("google.colab.drive").mount(str(mount))
    except Exception as error:
        raise UsageError(
            f"DRIVE_FOLDER is {folder!r}, and Drive cannot be mounted here ({error}). Leave it "
            "empty to keep the run on this machine only."
        ) from error
    path = mount / "MyDrive" / folder
    path.mkdir(parents=True, exist_ok=True)
    return path


@asynccontextmanager
async def snapshots(run: Path, to: Path | None) -> AsyncGenerator[None]:
    """Copy `run` to `to` now and then while the block runs, and once more at its end.

    The last copy begins when one that is under way has ended.
    """
    if to is None:
        yield
        return
    await asyncio.to_thread(_clear, to)
    async with asyncio.TaskGroup() as group:
        copying = group.create_task(_again_and_again(run, to))
        try:
            yield
        finally:
            copying.cancel()
            await asyncio.to_thread(_save, run, to)


async def _again_and_again(run: Path, to: Path) -> None:
    pause_s = _EVERY_S
    while True:
        await asyncio.sleep(pause_s)
        began = time.monotonic()
        await asyncio.to_thread(_save, run, to)
        pause_s = max(_EVERY_S, _SHARE * (time.monotonic() - began))


def restore(run: Path, kept: Path | None) -> None:
    """Bring a snapshot back, if there is one and nothing is here."""
    if kept is None or run.exists() or not (kept / "manifest.json").exists():
        return
    say(f"bringing the run back from {kept}")
    draft = run.with_name(run.name + _DRAFT)
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(kept, draft, ignore=shutil.ignore_patterns(f"*{_DRAFT}"))
    draft.rename(run)


def _clear(to: Path) -> None:
    """Take away what copies left that were killed."""
    with _ONE_AT_A_TIME, suppress(OSError):
        for draft in to.rglob(f"*{_DRAFT}"):
            draft.unlink()


def _save(run: Path, to: Path) -> None:
    try:
        with _ONE_AT_A_TIME:
            save(run, to)
    except OSError as error:
        say(f"no snapshot on Drive this time ({error.strerror or error}); the run goes on.")


def save(run: Path, to: Path) -> None:
    """Copy what is new in `run` to `to`. The journal is copied before what is made from it.

    Raises:
        OSError: it cannot be read or written.
    """
    if not (run / "manifest.json").exists():
        return
    files = [path for path in run.rglob("*") if path.is_file() and path.suffix not in _LEFT_OUT]
    for path in sorted(files, key=lambda path: path.name != _JOURNAL):
        target = to / path.relative_to(run)
        if not _is_copied(path, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, target)


def _copy(path: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.{uuid4().hex[:8]}{_DRAFT}")
    try:
        shutil.copy2(path, draft)
        if path.name == _JOURNAL:
            _cut(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _cut(path: Path) -> None:
    """Take away what follows the last whole line."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        file.truncate(end)


def _is_copied(path: Path, target: Path) -> bool:
    with suppress(FileNotFoundError):
        old, new = target.stat(), path.stat()
        return old.st_size == new.st_size and old.st_mtime >= new.st_mtime
    return False
