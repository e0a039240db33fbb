"""The transcripts inside the page: compressed one by one, their common texts first. Pure.

A chunk is JSON, deflated, in base64: nothing in it can end the element that holds it. All chunks go
on from one beginning, the primer: bytes that stand in many transcripts, compressed once. Primer and
chunk together are one stream (zlib, RFC 1950); what comes out of it begins with the primer's bytes.
"""

import base64
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from engine.report.page.records import Record

_SAMPLE_BYTES, _LINES_BYTES = 15_000, 16_000
"""Together just below 32 KiB, as far as deflate looks back."""
_SAMPLE_PIECE_BYTES = 1_000
_LEAST_LINE_BYTES = 12
_LEVEL = 9
_NEWLINE = b"\\n"  # as JSON has it


class Island(msgspec.Struct, frozen=True):
    """What the script unpacks, in base64."""

    primer: str
    n_primer_bytes: int
    """What comes out of a stream before the JSON of its chunk."""
    chunks: tuple[str, ...]


def island(records: Sequence[Record]) -> Island:
    """Return `records`, packed."""
    encoded = [msgspec.json.encode(record) for record in records]
    common = _sample(encoded) + _frequent(encoded)
    begun = zlib.compressobj(_LEVEL)
    primer = begun.compress(common) + begun.flush(zlib.Z_SYNC_FLUSH)
    chunks: list[str] = []
    for data in encoded:
        branch = begun.copy()
        chunks.append(_text(branch.compress(data) + branch.flush()))
    return Island(_text(primer), len(common), tuple(chunks))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _sample(encoded: Sequence[bytes]) -> bytes:
    """Return pieces of transcripts spread over all, the first ones from their beginnings."""
    return b"".join(_pieces(encoded))[:_SAMPLE_BYTES]


def _pieces(encoded: Sequence[bytes]) -> Iterator[bytes]:
    n_pieces = _SAMPLE_BYTES // _SAMPLE_PIECE_BYTES
    for n in range(n_pieces if encoded else 0):
        data = encoded[n * len(encoded) // n_pieces]
        start = n * _SAMPLE_PIECE_BYTES % max(1, len(data) - _SAMPLE_PIECE_BYTES)
        yield data[start : start + _SAMPLE_PIECE_BYTES]


def _frequent(encoded: Sequence[bytes]) -> bytes:
    """Return the lines of several transcripts that save most, the best one last."""
    counts = Counter[bytes]()
    for data in encoded:
        counts.update({line for line in data.split(_NEWLINE) if len(line) >= _LEAST_LINE_BYTES})
    worth = sorted(
        (line for line, count in counts.items() if count > 1),
        key=lambda line: (counts[line] * len(line), line),
        reverse=True,
    )
    kept: list[bytes] = []
    room = _LINES_BYTES
    for line in worth:
        room -= len(line) + len(_NEWLINE)
        if room < 0:
            break
        kept.append(line + _NEWLINE)
    return b"".join(reversed(kept))
