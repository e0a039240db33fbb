"""What the fake is told to do: a small JSON file, read at every start."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from servers.launch.flags import flag_value


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one fake server behaves; by itself it starts at once and answers at once."""

    fault: str | None = None
    """A key of `failures` in texts.toml; or "hang" (says nothing more), "chatter" (talks on but is
    never ready), "killed" (dies without a word), "mute" (healthy, but completes nothing)."""
    n_starts: int | None = None
    """The fault shows in so many starts, then no more; None: in all that its flags do not avoid."""
    fitting_len: int = 4096
    """Longest context that fits, for the faults about length."""
    start_s: float = 0.0
    """Time that a start takes."""
    reply_s: float = 0.0
    """Time that a completion takes."""
    reply: str = "I look at my own layers.\n\nTASK_COMPLETE"
    ignores_term: bool = False
    """SIGTERM does not end it."""


def read_behaviour(path: Path | None) -> Behaviour:
    """Read the file; without one the fake behaves well."""
    if path is None or not path.exists():
        return Behaviour()
    return msgspec.json.decode(path.read_bytes(), type=Behaviour)


def count_start(path: Path | None) -> int:
    """Count the starts under one behaviour file, in a file beside it; return which one this is."""
    if path is None:
        return 1
    counter = path.with_suffix(".starts")
    with counter.open("ab") as file:
        file.write(b".")
        return file.tell()


def shows_fault(behaviour: Behaviour, argv: Sequence[str], *, n_start: int) -> bool:
    """Say whether this start fails, given what its flags avoid."""
    if behaviour.fault is None:
        return False
    if behaviour.n_starts is not None and n_start > behaviour.n_starts:
        return False
    return not _is_avoided(behaviour, argv)


def _is_avoided(behaviour: Behaviour, argv: Sequence[str]) -> bool:
    match behaviour.fault:
        case "bf16":
            return flag_value(argv, "--dtype") in {"half", "float16", "float32"}
        case "cache_blocks" | "out_of_memory":
            return "--enforce-eager" in argv
        case "model_len" | "native_len":
            return int(flag_value(argv, "--max-model-len") or 1 << 30) <= behaviour.fitting_len
        case "free_memory":
            return float(flag_value(argv, "--gpu-memory-utilization") or 0.92) <= _FREE_SHARE
        case _:
            return False


_FREE_SHARE = 12.10 / 14.56
"""As the text of the failure says."""
