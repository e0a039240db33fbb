"""What is taken out of texts before they leave this machine: secrets and local paths. Pure.

Known values (keys of the run, its directories) go wherever they stand; beside them, whatever has
the form of a key or of a path below a root that holds files of people. Not covered: a path with
spaces is taken up to its first space, and a secret that is a plain word is one only if it is known.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import msgspec

from engine.manifest import Manifest

HIDDEN = "[secret]"
LOCAL = "[path]"

_LEAST_SECRET_CHARS = 6
_PARTS_OF_A_FILE = 2
_PARTS_BELOW_HOME = 3
_PREFIXED = (
    r"sk-[A-Za-z0-9_-]{16,}",  # OpenAI and many servers that are like it
    r"hf_[A-Za-z0-9]{20,}",
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    r"glpat-[A-Za-z0-9_-]{16,}",
    r"xox[abprs]-[A-Za-z0-9-]{10,}",
    r"AKIA[0-9A-Z]{16}",
    r"AIza[0-9A-Za-z_-]{30,}",
    r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}",  # JSON web token
)
_MARKS_OF_TOKENS = (
    *("sk-", "hf_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    *("xox", "AKIA", "AIza", "eyJ"),
)
"""One of them stands in every text that `_TOKEN` finds."""
_MARKS_OF_NAMES = ("key", "passw", "secret", "authorization", "bearer")
"""The same for `_NAMED`, in small letters."""
_TOKEN = re.compile(rf"\b(?:{'|'.join(_PREFIXED)})")
_KEY_BLOCK = re.compile(
    r"-----BEGIN (?P<what>[A-Z ]{0,20}PRIVATE KEY)-----[^-]{1,20000}-----END (?P=what)-----"
)
_NAMED = re.compile(
    r"(?i)(?P<name>\b(?:[a-z_]{0,30}api[_-]?key|[a-z_]{0,30}passw(?:or)?d|[a-z_]{0,30}secret"
    r"|authorization|bearer)\b[\"']?\s{0,3}(?:[:=]\s{0,3}|\s)(?:bearer\s)?[\"']?)"
    r"(?P<value>(?=[^\s\"',;]{0,200}\d)[^\s\"',;]{12,200})"
)
_CREDENTIALS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,15}://)[^\s/@:\"']{1,100}:[^\s/@\"']+@")
_ROOTS = (
    "home|Users|root|tmp|var|private|mnt|media|Volumes|srv|opt|data|scratch|work|workspace|projects"
    "|content|drive|gpfs|lustre|nfs|etc"
)
_PART = r"[^\s/\\\"'`<>|:*?,;(){}\[\]]{1,255}"
_POSIX = re.compile(
    rf"(?<![\w./:~\]-])(?:file://)?(?:/(?:{_ROOTS})|~[\w.-]{{0,32}})(?:/{_PART})+/?"
)
_HOME = re.compile(r"(?<![\w./:~-])/(?:root|home/[\w.-]{1,64}|Users/[\w.-]{1,64})(?![\w.-])")
_WINDOWS = re.compile(rf"(?<![\w])[A-Za-z]:\\{{1,2}}(?:{_PART}\\{{1,2}})*(?:{_PART})?")
_SHARE = re.compile(rf"(?<![\w\\])\\\\{_PART}(?:\\{{1,2}}{_PART})+")


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """What is known to be private beside what looks so."""

    secrets: tuple[str, ...] = ()
    """Values of keys; shorter ones than six characters would match anything and are passed over."""
    places: tuple[str, ...] = ()
    """Directories of this machine, absolute. Of each its own name is kept, nothing above it."""

    def text(self, text: str) -> str:
        """Return `text` without secrets and without the local part of paths."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) >= _LEAST_SECRET_CHARS:
                text = text.replace(secret, HIDDEN)
        text = _without_secrets(text)
        for place in sorted(self.places, key=len, reverse=True):
            bare = place.rstrip("/\\")
            if len(bare) > 1:
                text = _known(bare).sub(_last_part, text)
        return _without_paths(text)

    def value(self, value: object) -> object:
        """Return a value of dicts, lists and scalars with every text in it redacted, keys too."""
        match value:
            case str():
                return self.text(value)
            case dict():
                pairs = cast("dict[object, object]", value).items()
                return {_of_key(self, key): self.value(each) for key, each in pairs}
            case list() | tuple():
                return [self.value(each) for each in cast("list[object]", value)]
            case _:
                return value


def redaction_of(manifest: Manifest, directory: Path, secrets: Sequence[str] = ()) -> Redaction:
    """Return what is private in the run in `directory`, which used the keys `secrets`."""
    checkpoints = [arm.checkpoint for arm in manifest.arms if arm.checkpoint]
    documents = [each.directory for each in manifest.documents.values() if each.directory]
    named = [str(directory.resolve()), *checkpoints, *documents]
    return Redaction(
        secrets=tuple(secrets), places=tuple(each for each in named if Path(each).is_absolute())
    )


@lru_cache(maxsize=4096)
def _of_key(redaction: Redaction, key: object) -> object:
    return redaction.value(key)


def _known(place: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){re.escape(place)}(?![\w.-])")


def _without_secrets(text: str) -> str:
    """Look for a form only where a mark of it stands: that is found a hundred times as fast."""
    if "PRIVATE KEY-----" in text:
        text = _KEY_BLOCK.sub(HIDDEN, text)
    if "://" in text and "@" in text:
        text = _CREDENTIALS.sub(rf"\g<scheme>{HIDDEN}@", text)
    if any(mark in text for mark in _MARKS_OF_TOKENS):
        text = _TOKEN.sub(HIDDEN, text)
    low = text.lower()
    if any(mark in low for mark in _MARKS_OF_NAMES):
        text = _NAMED.sub(rf"\g<name>{HIDDEN}", text)
    return text


def _without_paths(text: str) -> str:
    if "/" in text:
        text = _HOME.sub(LOCAL, _POSIX.sub(_last_part, text))
    if "\\" in text:
        text = _SHARE.sub(_last_part, _WINDOWS.sub(_last_part, text))
    return text


def _last_part(found: re.Match[str]) -> str:
    """Keep the name of a file; what stands directly in a folder of people is a person's name."""
    parts = [part for part in re.split(r"[/\\]+", found[0].removeprefix("file:")) if part]
    is_home = len(parts) < _PARTS_BELOW_HOME and parts[0] in {"home", "Users", "root"}
    is_bare = len(parts) < _PARTS_OF_A_FILE or is_home
    return LOCAL if is_bare else f"{LOCAL}/{parts[-1]}"
