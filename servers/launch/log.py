"""What a vLLM server's log says: where the start is, what was obtained, the lines that matter.

Source of the texts: the logs and the source of vLLM 0.32 and 0.33.
"""

import re
from os import SEEK_END
from pathlib import Path

from servers.launch.values import Obtained, State

GIB = 1 << 30
_CHUNK_BYTES = 1 << 20
_KEPT_CHARS = 200_000

_STATES: tuple[tuple[re.Pattern[str], State], ...] = (
    (re.compile(r"\.safetensors: +\d+%|Fetching \d+ files|Downloading"), "download"),
    (re.compile(r"Starting to load model|Loading safetensors checkpoint"), "load"),
    (
        re.compile(r"Dynamo bytecode|Compiling a graph|Capturing CUDA graph"),
        "compile",
    ),
)

_FACTS: tuple[tuple[str, re.Pattern[str], float], ...] = (
    ("kv_tokens", re.compile(r"KV cache size: ([\d,]+) tokens"), 1),
    ("kv_bytes", re.compile(r"Available KV cache memory: ([\d.]+) GiB"), GIB),
    ("kv_bytes", re.compile(r"Explicitly set \(([\d.]+)/[\d.]+\) GiB for KV cache"), GIB),
    ("kv_bytes", re.compile(r"Current kv cache memory in use is ([\d.]+) GiB"), GIB),
    ("weights_bytes", re.compile(r"Model loading took ([\d.]+) GiB"), GIB),
    ("activation_bytes", re.compile(r"([\d.]+) GiB for peak activation"), GIB),
    ("graphs_bytes", re.compile(r"([\d.]+) GiB for CUDAGraph memory"), GIB),
    ("recommended_kv_bytes", re.compile(r"--kv-cache-memory=(\d+)` \([\d.]+ GiB\) to fit"), 1),
)

_NOISE = re.compile(r'Route: /|"(GET|POST) /\S* HTTP|UserWarning|warnings\.warn|^\s*$|^\s+\^+\s*$')
_ERROR = re.compile(
    r"^(?!.*(?:INFO|WARNING|DEBUG) ).*?(\b[A-Z]\w*(?:Error|Exception): \S.*)", re.MULTILINE
)


class ServerLog:
    """The part of a log file that one start of a server writes."""

    def __init__(self, path: Path) -> None:
        """Begin at the present end of `path`, which need not exist."""
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._text = ""

    @property
    def text(self) -> str:
        """What was read so far; of a very long log, its end."""
        return self._text

    def read(self) -> bool:
        """Read on; return whether there was anything new."""
        try:
            with self._path.open("rb") as file:
                if file.seek(0, SEEK_END) < self._offset:
                    self._offset = 0  # the old log was put aside
                file.seek(self._offset)
                new = file.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return False
        self._offset += len(new)
        self._text = (self._text + new.decode(errors="replace"))[-_KEPT_CHARS:]
        return bool(new)

    def state(self) -> State:
        """Say how far the start has come, as far as the log tells."""
        found: State = "starting"
        for pattern, state in _STATES:
            if pattern.search(self._text):
                found = state
        return found

    def obtained(self) -> Obtained:
        """Read what the server got."""
        facts: dict[str, int] = {}
        for name, pattern, unit in _FACTS:
            for match in pattern.finditer(self._text):
                facts[name] = int(float(match[1].replace(",", "")) * unit)
        return Obtained(**facts)

    def errors(self, n_lines: int = 3) -> str:
        """Return the first exceptions that the log names: causes stand before consequences."""
        found = dict.fromkeys(match[1] for match in _ERROR.finditer(self._text))
        return "\n".join(line[:400] for line in list(found)[:n_lines])

    def tail(self, n_lines: int = 12) -> str:
        """Return the last lines that say something."""
        lines = [line for line in self._text.splitlines() if not _NOISE.search(line)]
        return "\n".join(line[:400] for line in lines[-n_lines:])
