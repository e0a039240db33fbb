"""Gets a GGUF file onto this machine: from where it lies already, or from the hub.

`python -m servers.embedded.fetch REPO PATTERN` is the program that downloads. It is a process of
its own so that a run that is interrupted can end it; what it has received by then is kept, and the
next download goes on from there. Its progress goes to stderr, its answer as JSON to stdout.
"""

import asyncio
import errno
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import msgspec

from engine.errors import NotReadyError

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_REMEDY = "Connect to a network and repeat the command, or name a local .gguf file."


class Answer(msgspec.Struct, frozen=True):
    """What came of a download: a file, or why there is none."""

    file: str | None = None
    error: str = ""


async def fetched(repo: str, pattern: str | None) -> Path:
    """Return the file to serve: the first, where a model is in several parts.

    `repo`: a file, or the id of a hub repository, of which `pattern` says which files are meant.
    What the hub's cache holds in full is used without a network.

    Raises:
        NotReadyError: it is not here and could not be downloaded; names the remedy.
    """
    if pattern is None:
        return Path(repo)
    program = (sys.executable, "-m", "servers.embedded.fetch", repo, pattern)
    child = await asyncio.create_subprocess_exec(*program, stdout=PIPE)
    try:
        out, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
    return _file_of(out, repo)


def _file_of(out: bytes, repo: str) -> Path:
    try:
        answer = msgspec.json.decode(out, type=Answer)
    except msgspec.DecodeError:
        answer = Answer(error="the download was ended from outside")
    if answer.file is None:
        raise NotReadyError(f"{repo}: {answer.error}")
    return Path(answer.file)


def main(arguments: Sequence[str]) -> int:
    """Download, and answer."""
    repo, pattern = arguments
    try:
        answer = Answer(file=str(_from_cache(repo, pattern) or _download(repo, pattern)))
    except NotReadyError as error:
        answer = Answer(error=str(error))
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return 0


def _from_cache(repo: str, pattern: str) -> Path | None:
    hub = import_module("huggingface_hub")
    try:
        folder = hub.snapshot_download(repo, allow_patterns=[pattern], local_files_only=True)
    except Exception:  # noqa: BLE001 - whatever the cache lacks, the hub is asked for
        return None
    return first_part(Path(folder), pattern)


def _download(repo: str, pattern: str) -> Path:
    hub = import_module("huggingface_hub")
    sys.stderr.write(f"fetching {pattern} of {repo}; what arrives is kept if this is interrupted\n")
    try:
        folder = Path(hub.snapshot_download(repo, allow_patterns=[pattern]))
    except Exception as error:
        raise NotReadyError(_explained(error)) from error
    file = first_part(folder, pattern)
    if file is None:
        raise NotReadyError(
            f"it has no file {pattern}. Check the name, or name a local .gguf file."
        )
    return file


def first_part(folder: Path, pattern: str) -> Path | None:
    """Return the file that `pattern` means, or the first of its parts; None if any is missing."""
    names = sorted(path for path in folder.glob(pattern))
    for path in names:
        part = _SHARD.search(path.name)
        if part is None:
            return path
        if part[1] == "00001" and all(each.is_file() for each in parts_of(path)):
            return path
    return None


def parts_of(file: Path) -> tuple[Path, ...]:
    """Return all files of a model by its first one: llama.cpp finds the others by their names."""
    part = _SHARD.search(file.name)
    if part is None:
        return (file,)
    stem = file.name[: part.start()]
    n_parts = int(part[2])
    return tuple(
        file.with_name(f"{stem}-{number:05}-of-{part[2]}.gguf") for number in range(1, n_parts + 1)
    )


def _explained(error: Exception) -> str:
    """Say in one sentence what the hub's client means."""
    errors = import_module("huggingface_hub.errors")
    first = (str(error) or type(error).__name__).strip().splitlines()[0]
    if isinstance(error, errors.GatedRepoError):
        return "it is gated: accept its licence on its page and put a token into HF_TOKEN."
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository on the hub. Check the name."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full ({first}). Free some space, or point HF_HOME at a larger disk."
    return f"it is not on this machine and could not be downloaded ({first}). {_REMEDY}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
