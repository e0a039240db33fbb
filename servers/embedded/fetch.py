"""Where a GGUF file is on this machine: where it lies already, or where it is downloaded to."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec

from engine.errors import NotReadyError

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


class Answer(msgspec.Struct, frozen=True):
    """What came of a download: a file, or why there is none."""

    file: str | None = None
    error: str = ""


def encode(answer: Answer) -> str:
    """Return `answer` as the line that the download's program prints."""
    return msgspec.json.encode(answer).decode()


async def fetched(repo: str, pattern: str | None, *, store: Path) -> Path:
    """Return the file to serve: the first, where a model is in several parts.

    `repo`: a file, or the id of a hub repository, of which `pattern` says which files are meant.
    Those in `store` and in the hub's own cache are used without a network; others are downloaded
    into `store`, with progress on stderr.

    Raises:
        NotReadyError: it is not here and could not be downloaded; names the remedy.
    """
    if pattern is None:
        return Path(repo)
    return first_part(folder_of(store, repo), pattern) or await _downloaded(repo, pattern, store)


async def _downloaded(repo: str, pattern: str, store: Path) -> Path:
    program = (sys.executable, "-m", "servers.embedded.download", str(store), repo, pattern)
    # What a terminal says is for this process, which ends the download where it should end.
    child = await asyncio.create_subprocess_exec(*program, stdout=PIPE, start_new_session=True)
    try:
        out, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
    try:
        answer = msgspec.json.decode(out, type=Answer)
    except msgspec.DecodeError:
        answer = Answer(error="the download was ended from outside. Repeat the command.")
    if answer.file is None:
        raise NotReadyError(f"{repo}: {answer.error}")
    return Path(answer.file)


def folder_of(store: Path, repo: str) -> Path:
    """Return where the files of a repository are kept."""
    return store / repo.replace("/", "--")


def first_part(folder: Path, pattern: str) -> Path | None:
    """Return the file that `pattern` means, or the first of its parts; None if any is missing."""
    for path in sorted(folder.glob(pattern)):
        part = _SHARD.search(path.name)
        if part is None or (part[1] == "00001" and all(each.is_file() for each in parts_of(path))):
            return path
    return None


def parts_of(file: Path) -> tuple[Path, ...]:
    """Return all files of a model by its first one: llama.cpp finds the others by their names."""
    part = _SHARD.search(file.name)
    if part is None:
        return (file,)
    stem = file.name[: part.start()]
    return tuple(
        file.with_name(f"{stem}-{number:05}-of-{part[2]}.gguf")
        for number in range(1, int(part[2]) + 1)
    )
