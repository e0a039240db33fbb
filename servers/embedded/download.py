"""The program that downloads a GGUF file: `download.py STORE REPO PATTERN`.

A process of its own, so that a run that is interrupted can end it. Its progress goes to stderr, its
answer as JSON to stdout. What has arrived when it ends is kept, and the next download goes on from
there: huggingface_hub does that within one process only, so files are kept here until they are
whole. Their contents are checked against the hub's hash.
"""

import errno
import hashlib
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.utils import WeakFileLock

from engine.errors import NotReadyError
from servers.embedded.fetch import Answer, encode, first_part, folder_of

_HUB: Any = import_module("huggingface_hub")
_FILES: Any = import_module("huggingface_hub.file_download")
"""The part of it that is typed incompletely."""

_REMEDY = "Connect to a network and repeat the command, or name a local .gguf file."
_SHA256_CHARS = 64
_ANSWER_S = 20.0


class _Source(NamedTuple):
    """One file on the hub."""

    url: str
    etag: str
    size_bytes: int


def main(arguments: Sequence[str]) -> int:
    """Download, and answer."""
    store, repo, pattern = arguments
    try:
        found = _in_hub_cache(repo, pattern) or _download(
            repo, pattern, folder_of(Path(store), repo)
        )
        answer = Answer(file=str(found))
    except NotReadyError as error:
        answer = Answer(error=str(error))
    sys.stdout.write(encode(answer) + "\n")
    return 0


def _in_hub_cache(repo: str, pattern: str) -> Path | None:
    """Return the file if somebody has fetched it into the hub's own cache."""
    try:
        folder = _HUB.snapshot_download(repo, allow_patterns=[pattern], local_files_only=True)
    except Exception:  # noqa: BLE001 - whatever the cache lacks, the hub is asked for
        return None
    return first_part(Path(folder), pattern)


def _download(repo: str, pattern: str, folder: Path) -> Path:
    try:
        known = HfApi().model_info(repo, timeout=_ANSWER_S)
        for each in known.siblings or ():
            if fnmatch(each.rfilename, pattern):
                _fetch(repo, each.rfilename, folder)
    except NotReadyError:
        raise
    except Exception as error:
        raise NotReadyError(_explained(error)) from error
    file = first_part(folder, pattern)
    if file is None:
        raise NotReadyError(
            f"it has no file {pattern}. Check the name, or name a local .gguf file."
        )
    return file


def _fetch(repo: str, name: str, folder: Path) -> None:
    """Download one file into `folder`, going on with what is there of it."""
    source = _source(repo, name)
    whole, part = folder / name, folder / f"{name}.{source.etag[:16]}.part"
    whole.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(folder / f"{name}.lock"):
        if whole.exists():
            return
        part.touch()
        with part.open("r+b") as file:
            n_bytes = file.seek(0, 2)
            _say_begin(repo, name, n_bytes, source.size_bytes)
            _FILES.http_get(
                source.url,
                file,
                resume_size=n_bytes,
                headers=_HUB.utils.build_hf_headers(),
                expected_size=source.size_bytes,
                displayed_filename=name,
            )
        _check(part, source)
        part.replace(whole)


def _source(repo: str, name: str) -> _Source:
    url = hf_hub_url(repo, name)
    known = _HUB.get_hf_file_metadata(url)
    if known.etag is None or known.size is None:
        raise NotReadyError(f"the hub does not say how large {name} is. {_REMEDY}")
    return _Source(url, known.etag, known.size)


def _say_begin(repo: str, name: str, n_bytes: int, size_bytes: int) -> None:
    begun = f", of which {n_bytes / 1e9:.2f} GB are here" if n_bytes else ""
    sys.stderr.write(
        f"fetching {name} of {repo}: {size_bytes / 1e9:.2f} GB{begun}; it can be interrupted and "
        "repeated\n"
    )


def _check(part: Path, source: _Source) -> None:
    """Compare the contents with the hub's hash; large files have one of the whole contents."""
    if len(source.etag) != _SHA256_CHARS:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source.etag:
        part.unlink()
        raise NotReadyError("what arrived is not what the hub has. Repeat the command.")


def _explained(error: Exception) -> str:
    """Say in one sentence what the hub's client means."""
    first = (str(error) or type(error).__name__).strip().splitlines()[0]
    if isinstance(error, GatedRepoError):
        return "it is gated: accept its licence on its page and put a token into HF_TOKEN."
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such repository on the hub. Check the name."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full ({first}). Free some space, or point XDG_CACHE_HOME elsewhere."
    return f"it is not on this machine and could not be downloaded ({first}). {_REMEDY}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
