"""What runs took, remembered for the forecast of the next: one JSON line each."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean, pstdev
from time import time
from urllib.parse import urlsplit

import msgspec

from engine.cli.planning import find_hardware
from engine.cli.study import Study
from engine.compare.measures import Measures
from engine.endpoint import Endpoint
from engine.errors import EngineError
from engine.forecast import Pace, Work
from engine.phase import Phase
from engine.report.run import Run
from engine.settings import read_settings
from servers.hardware import HardwareProfile
from servers.model import Precision

_MOST_BYTES = 1 << 20
"""Read from the end of the file."""


def works_of(study: Study) -> tuple[Work, ...]:
    """Return what a study has to do, by model and phase."""
    cases = study.investigations()
    counts: dict[tuple[str, str], int] = {}
    for case in cases:
        counts[case.model, case.phase] = counts.get((case.model, case.phase), 0) + 1
    places = _places(study)
    return tuple(
        Work(
            model=model,
            place=places[model],
            phase=phase,
            phase_fingerprint=study.phase(phase).fingerprint,
            n=n,
            n_at_once=study.concurrency,
            n_beside=_n_beside(study),
        )
        for (model, phase), n in counts.items()
    )


def read_paces() -> tuple[Pace, ...]:
    """Return what is remembered, oldest first.

    Lines that were torn are left out, and those that do not say which phase it was.
    """
    try:
        with _path().open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _MOST_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return ()
    return tuple(_decoded(lines))


def remember(study: Study, run: Run) -> None:
    """Add what `run` showed. Where that cannot be written, nothing is remembered."""
    places = _places(study)
    lines = [
        msgspec.json.encode(pace)
        for model in study.models
        for phase in study.phases
        if (pace := _pace(study, run, model, phase, places[model])) is not None
    ]
    with suppress(OSError):
        _path().parent.mkdir(parents=True, exist_ok=True)
        with _path().open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))


def local_place(kind: str, precision: Precision | None, hardware: HardwareProfile) -> str:
    """Return the name of a place on one's own machine: the same pace can be expected there."""
    gpus = ", ".join(gpu.name for gpu in hardware.gpus) or f"{hardware.n_cores} cores"
    return f"{kind} {precision or 'as it ships'} on {gpus}"


def _places(study: Study) -> dict[str, str]:
    serving = study.serving
    kind = serving.kind.rpartition("+")[2]
    hardware = None if kind == "endpoint" else _hardware(study)
    places: dict[str, str] = {}
    for model in study.models:
        if endpoint := serving.given.get(serving.twins.get(model, model)):
            places[model] = _remote_place(endpoint)
        elif hardware:
            weights = serving.weights.get(model)
            places[model] = local_place(kind, weights and weights.quantization, hardware)
        else:
            places[model] = kind
    return places


def _n_beside(study: Study) -> int:
    return len(study.models) - 1 if study.serving.schedule == "together" else 0


def _hardware(study: Study) -> HardwareProfile | None:
    try:
        return find_hardware(study.options.hardware)
    except EngineError:
        return None


def _remote_place(endpoint: Endpoint) -> str:
    return f"{urlsplit(endpoint.url).hostname} as {endpoint.served_model}"


def _pace(study: Study, run: Run, model: str, phase: Phase, place: str) -> Pace | None:
    """Return the pace of those that went from begin to end in one go, and were their own."""
    kept = [
        (item, transcript.started)
        for item, transcript in zip(run.measures, run.transcripts, strict=True)
        if item.model == model and item.phase == phase.key and _counts(item)
    ]
    if not kept:
        return None
    measures = [item for item, _ in kept]
    durations = [item.duration_s for item in measures]
    span_s = max(began + item.duration_s for item, began in kept) - min(at for _, at in kept)
    return Pace(
        model=model,
        place=place,
        phase=phase.key,
        phase_fingerprint=phase.fingerprint,
        n=len(kept),
        n_at_once=max(1.0, sum(durations) / max(span_s, 1e-3)),
        n_beside=_n_beside(study),
        each_s=max(fmean(durations), 1e-3),
        spread_s=pstdev(durations),
        turns=fmean(item.turns for item in measures),
        prompt_tokens=fmean(item.prompt_tokens for item in measures),
        cached_tokens=fmean(item.cached_tokens for item in measures),
        completion_tokens=fmean(item.completion_tokens for item in measures),
        time=time(),
    )


def _counts(item: Measures) -> bool:
    return not (item.is_infrastructure or item.revivals or item.inherited_turns)


def _path() -> Path:
    return read_settings().state_dir / "paces.jsonl"


def _decoded(lines: Sequence[bytes]) -> Iterator[Pace]:
    for line in lines:
        with suppress(msgspec.DecodeError):
            yield msgspec.json.decode(line, type=Pace)
