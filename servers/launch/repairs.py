"""Changes to a start that cure a failure, each refused where it would not be sound. Pure."""

import math
import re

import msgspec

from servers.launch.flags import flag_value, with_flag
from servers.launch.values import ServerStart

GIB = 1 << 30
_LEAST_TOKENS = 2048
"""Shortest context with which an investigation is still worth starting."""
_BLOCK_TOKENS = 16
_STEP = 0.01
"""vLLM's share of the card is changed in steps of this size."""


def unchanged(start: ServerStart, _match: re.Match[str]) -> ServerStart:
    """Try the same once more: it was an accident of the moment."""
    return start


def use_half(start: ServerStart, _match: re.Match[str]) -> ServerStart | None:
    """Compute in 16-bit floats as they were before bfloat16."""
    if flag_value(start.argv, "--dtype") in {"half", "float16"}:
        return None
    return _with(start, with_flag(start.argv, "--dtype", "half"))


def run_eagerly(start: ServerStart, _match: re.Match[str]) -> ServerStart | None:
    """Do without CUDA graphs and compilation: 0.25 to 0.7 GiB. Source: serving-gpu.md section 3."""
    if "--enforce-eager" in start.argv:
        return None
    return _with(start, with_flag(start.argv, "--enforce-eager"))


def shorten(start: ServerStart, match: re.Match[str]) -> ServerStart | None:
    """Take the context that vLLM says would do, if it is worth anything."""
    tokens = int(match["tokens"]) // _BLOCK_TOKENS * _BLOCK_TOKENS
    asked = start.max_model_len
    if tokens < min(_LEAST_TOKENS, asked or _LEAST_TOKENS) or (asked and tokens >= asked):
        return None
    argv = with_flag(start.argv, "--max-model-len", str(tokens))
    return msgspec.structs.replace(start, argv=argv, max_model_len=tokens)


def use_less_of_the_card(start: ServerStart, match: re.Match[str]) -> ServerStart | None:
    """Take the share of the card that is free, if the plan still fits into it."""
    free, total = float(match["free"]), float(match["total"])
    share = math.floor(free / total / _STEP) * _STEP
    asked = float(flag_value(start.argv, "--gpu-memory-utilization") or 1)
    if share >= asked or share * total * GIB < start.needs_bytes or start.needs_bytes <= 0:
        return None
    return _with(start, with_flag(start.argv, "--gpu-memory-utilization", f"{share:.2f}"))


def _with(start: ServerStart, argv: tuple[str, ...]) -> ServerStart:
    return msgspec.structs.replace(start, argv=argv)
