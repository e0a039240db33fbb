"""Starts that were measured: one JSON line each, read by the next plan."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from servers.fit.values import Measured
from servers.launch.flags import flag_value
from servers.launch.starting import Running
from servers.launch.values import Obtained


class MeasuredStart(msgspec.Struct, frozen=True, kw_only=True):
    """What one start took and got."""

    model: str
    gpu: str
    argv: tuple[str, ...]
    """As it was really started, without the program and the address."""
    start_s: float
    obtained: Obtained
    time: float
    """Seconds since the epoch."""


def remember(path: Path, running: Running) -> None:
    """Add the start of a server to the file."""
    start = MeasuredStart(
        model=running.start.model,
        gpu=running.start.gpu,
        argv=_arguments(running.start.argv),
        start_s=round(running.start_s, 3),
        obtained=running.obtained,
        time=time.time(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(start) + b"\n")


def read_starts(path: Path) -> tuple[MeasuredStart, ...]:
    """Return what is remembered, oldest first; lines that were torn are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return ()
    return tuple(_decoded(lines))


def for_plan(starts: Iterable[MeasuredStart]) -> tuple[Measured, ...]:
    """Return what the fit can use: starts whose log said where the memory went."""
    return tuple(found for start in starts if (found := _measured(start)) is not None)


def _measured(start: MeasuredStart) -> Measured | None:
    got = start.obtained
    n_seqs = flag_value(start.argv, "--max-num-seqs")
    n_tokens = flag_value(start.argv, "--max-num-batched-tokens")
    if got.activation_bytes is None or not n_seqs or not n_tokens:
        return None
    return Measured(
        repo=start.argv[0],
        gpu=start.gpu,
        n_seqs=int(n_seqs),
        n_batched_tokens=int(n_tokens),
        is_eager="--enforce-eager" in start.argv,
        is_online_fp8=flag_value(start.argv, "--quantization") == "fp8",
        n_gpus=int(flag_value(start.argv, "--tensor-parallel-size") or 1),
        working_bytes=got.activation_bytes + (got.graphs_bytes or 0),
    )


def _arguments(argv: Sequence[str]) -> tuple[str, ...]:
    words = tuple(argv)
    return words[words.index("serve") + 1 :] if "serve" in words else words


def _decoded(lines: Iterable[bytes]) -> Iterable[MeasuredStart]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=MeasuredStart)
        except msgspec.DecodeError:
            continue
