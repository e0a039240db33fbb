"""Engine cost of whole turns: real loop, sandbox and journal against any OpenAI-shaped server.

    python -m scripts.bench_turns --base http://127.0.0.1:8000/v1 --n 200 --c 32

Every investigation names itself (`conv-<id>`) in its system prompt, has its ```python blocks run
and their output sent back, and ends with the first reply that has no code. Prints one JSON line;
CPU is that of this process, after the sandbox is up.
"""

import argparse
import cProfile
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import uvloop

from engine.access import Access
from engine.chat.discovery import resolve
from engine.chat.served import open_backend
from engine.endpoint import Endpoint
from engine.errors import CapabilityError
from engine.journal import open_journal
from engine.loop import Parts
from engine.phase import Phase
from engine.runner import conduct, plan, spare_collections
from engine.sandbox import Answer, Limits
from engine.sandbox.host import open_sandbox
from engine.transcript import Call, Investigation, StopReason
from phases.load import get_phase

_MAX_TURNS = 100


@dataclass(frozen=True)
class _Named:
    """Grants nothing; tells the investigation its number."""

    number: int

    @property
    def modules(self) -> Mapping[str, str]:
        return {}

    @property
    def lines(self) -> Sequence[tuple[str, str]]:
        return ((f"conv-{self.number}", "a data set to look into"),)

    @property
    def answer(self) -> Answer:
        return _refuse

    def grant(self, *_names: str) -> Mapping[str, str]:
        """Grant more: there is nothing."""
        return {}

    def restore(self, calls: Iterable[Call]) -> None:
        """Apply recorded calls: there are none."""


async def _refuse(method: str, _arguments: Mapping[str, object]) -> object:
    raise CapabilityError("AttributeError", method)


def _phase() -> Phase:
    phase = get_phase("comparison")
    only = phase.experiments[0].model_copy(update={"max_turns": _MAX_TURNS})
    return phase.model_copy(update={"experiments": (only,)})


async def _conduct(given: argparse.Namespace, journal_path: Path) -> dict[str, object]:
    access = Access(key="x")
    endpoint = Endpoint(model="m", url=given.base, served_model=given.model)
    endpoint = await resolve(endpoint, access=access)
    phase = _phase()
    cases = plan(models=["m"], phases=[phase.key], replicates=given.n, seed=1)
    async with (
        open_sandbox(Limits()) as sandbox,
        open_backend(endpoint, access=access) as backend,
    ):
        with open_journal(journal_path) as journal:

            def parts_for(case: Investigation) -> Parts:
                powers = _Named(case.replicate)
                return Parts(
                    phase=phase, chat=backend.seat(), sandbox=sandbox, powers=powers, record=journal
                )

            spare_collections()
            began, cpu = time.monotonic(), time.process_time()
            profile = cProfile.Profile() if given.profile else nullcontext()
            with profile:
                ends = await conduct(cases, parts_for, concurrency=given.c)
            if isinstance(profile, cProfile.Profile):
                profile.dump_stats(given.profile)
            return _figures(ends, time.monotonic() - began, time.process_time() - cpu)


def _figures(ends: Mapping[str, StopReason], wall_s: float, cpu_s: float) -> dict[str, object]:
    return {
        "investigations": len(ends),
        "ends": dict(Counter(map(str, ends.values()))),
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 3),
        "peak_rss_mb": getrusage(RUSAGE_SELF).ru_maxrss >> 10,
    }


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, help="base URL, up to /v1")
    parser.add_argument("--model", default="mock", help="what the server calls the model")
    parser.add_argument("--n", type=int, default=200, help="investigations")
    parser.add_argument("--c", type=int, default=32, help="investigations at once")
    parser.add_argument("--profile", type=Path, help="write a cProfile here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = uvloop.run(_conduct(given, Path(folder) / "events.jsonl"))
        figures["turns"] = _n_turns(Path(folder) / "events.jsonl")
    print(json.dumps(figures))


def _n_turns(journal_path: Path) -> int:
    return journal_path.read_bytes().count(b'"event":"turn_ended"')


if __name__ == "__main__":
    _main()
