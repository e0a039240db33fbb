"""A checkpoint in a repository of the hub, read by ranges: nothing of it is downloaded as a whole.

The revision is settled once, so that all that is read belongs together. Whether a token is sent,
and which, is huggingface_hub's business (HF_TOKEN, or a login): it is not seen here, and no
message holds it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.errors import NotReadyError
from engine.introspection.files import Bytes, File
from engine.introspection.ranges import Ranges

if TYPE_CHECKING:
    from httpx2 import Response

_TIMEOUT_S = 30.0
_WHOLE, _PART = 200, 206
_FORM = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w-][\w./-]*))?", re.ASCII)


class Place(msgspec.Struct, frozen=True):
    """A repository, and which state of it."""

    repo: str
    revision: str | None = None
    """Branch, tag or commit; None: the newest state."""

    def __str__(self) -> str:
        """Return the text that `parse_place` reads."""
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


def parse_place(text: str) -> Place | None:
    """Read OWNER/NAME or OWNER/NAME@REVISION; None for a text that is neither."""
    found = _FORM.fullmatch(text)
    return Place(found["repo"], found["revision"]) if found else None


class Repository:
    """The files of one repository at one commit."""

    directory: Path | None = None

    def __init__(self, place: Place, sizes: Mapping[str, int]) -> None:
        """Read files of `sizes` (name -> bytes) of `place`, whose revision is a commit."""
        self._place = place
        self._sizes = dict(sizes)
        self._ranges = Ranges(self._fetch)

    @property
    def origin(self) -> str:
        """Repository and commit."""
        return str(self._place)

    def names(self) -> Sequence[str]:
        """Return the names of all files of its top folder, sorted."""
        return sorted(name for name in self._sizes if "/" not in name)

    def file(self, name: str) -> File:
        """Return the file `name`."""
        if name not in self._sizes:
            raise FileNotFoundError(f"{self.origin} has no file {name}")
        place = f"{self.origin}/{name}"
        return _Remote(name=name, place=place, n_bytes=self._sizes[name], ranges=self._ranges)

    def _fetch(self, name: str, first: int, count: int) -> bytes:
        import huggingface_hub
        from huggingface_hub.utils import (
            build_hf_headers,  # pyright: ignore[reportUnknownVariableType] - typed in part
            http_stream_backoff,  # pyright: ignore[reportUnknownVariableType] - as above
        )

        url = huggingface_hub.hf_hub_url(self._place.repo, name, revision=self._place.revision)
        part = {"Range": f"bytes={first}-{first + count - 1}", "Accept-Encoding": "identity"}
        headers = {**build_hf_headers(), **part}
        try:
            with http_stream_backoff("GET", url, headers=headers, timeout=_TIMEOUT_S) as response:
                is_all = first == 0 and count == self._sizes[name]
                return _content(response, count, is_all=is_all)
        except Exception as error:
            what = f"bytes {first} to {first + count} of {self.origin}/{name}"
            raise OSError(f"{what} could not be fetched: {_why(error)}") from error


class _Remote(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    place: str
    n_bytes: int
    ranges: Ranges

    def read(self, first: int, count: int) -> Bytes:
        return self.ranges.read(self.name, first=first, count=count, n_bytes=self.n_bytes)


def open_repository(place: Place) -> Repository:
    """Look up `place`: which commit it is, and which files it has.

    Raises:
        NotReadyError: it cannot be looked up; says why, and the remedy.
    """
    import huggingface_hub

    try:
        found = huggingface_hub.HfApi().model_info(
            place.repo, revision=place.revision, files_metadata=True, timeout=_TIMEOUT_S
        )
    except Exception as error:
        raise NotReadyError(
            f"The weights of {place} cannot be looked up on the hub: {_why(error)}. Or name a"
            " directory with a copy: --checkpoint NAME=DIR."
        ) from error
    sizes = {file.rfilename: file.size or 0 for file in found.siblings or ()}
    return Repository(Place(place.repo, found.sha), sizes)


def _content(response: "Response", count: int, *, is_all: bool) -> bytes:
    """Return the body, never more than was asked for.

    Raises:
        OSError: the server sends something else than the range.
    """
    from huggingface_hub.utils import hf_raise_for_status

    hf_raise_for_status(response)
    if response.status_code != _PART and not (is_all and response.status_code == _WHOLE):
        raise OSError(f"the server does not send parts of files (status {response.status_code})")
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > count:
            break
    if len(content) != count:
        raise OSError(f"{len(content)} bytes came, not {count}")
    return bytes(content)


def _why(error: Exception) -> str:
    """Return what happened and what to do, without addresses: they may hold a signature."""
    from huggingface_hub import errors

    reasons: Mapping[type[Exception], str] = {
        errors.OfflineModeIsEnabled: "the hub is switched off here (HF_HUB_OFFLINE)",
        errors.GatedRepoError: "it is gated: accept its licence on its page, and set HF_TOKEN",
        errors.RepositoryNotFoundError: "there is no such repository, or it is private: set"
        " HF_TOKEN",
        errors.RevisionNotFoundError: "it has no such revision",
        errors.HFValidationError: "that is no name of a repository",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, errors.HfHubHTTPError):
        return f"the hub answered with status {error.response.status_code}"
    if type(error) is OSError:
        return str(error)
    return f"the hub cannot be reached ({type(error).__name__}): check the network"
