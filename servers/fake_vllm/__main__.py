"""`python -m servers.fake_vllm [--behaviour FILE] serve MODEL ...`: the fake's entry."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from servers.fake_vllm.api import Api
from servers.fake_vllm.behaviour import Behaviour, count_start, read_behaviour, shows_fault
from servers.fake_vllm.family import end_family, is_alive, start_family
from servers.fake_vllm.texts import STAGES, Texts
from servers.fake_vllm.words import parse

_BYTES_PER_TOKEN = 36 << 10
_LATE = frozenset({"mute", "head_dim", "no_avx512"})
"""Faults of servers that become healthy and complete nothing."""
"""Of Qwen2.5-3B. Source: serving-gpu.md section 1."""

_AT_STAGE = {
    "port": "begin",
    "hang": "load",
    "chatter": "load",
    "killed": "load",
    "out_of_memory": "load",
    "free_memory": "load",
    "bf16": "load",
    "cache_blocks": "compile",
    "model_len": "compile",
    "profiling": "compile",
    "crash": "compile",
}
"""Where in the start a fault shows; the others show before anything else is said."""


def main(argv: Sequence[str]) -> int:
    """Serve as told, to the end."""
    options = parse(argv)
    behaviour = read_behaviour(options.behaviour)
    n_start = count_start(options.behaviour)
    fault = behaviour.fault if shows_fault(behaviour, argv, n_start=n_start) else None
    family = start_family()
    _heed_signals(behaviour)
    try:
        return _serve(options, behaviour, fault, family)
    finally:
        end_family(family)


def _serve(
    options: argparse.Namespace, behaviour: Behaviour, fault: str | None, family: tuple[int, int]
) -> int:
    texts = Texts(_facts(options, behaviour, family))
    api = None
    for stage in STAGES:
        if fault is not None and _AT_STAGE.get(fault, "begin") == stage:
            code = _fail(fault, texts)
            if code is not None:
                return code
        if stage == "begin":
            try:
                api = _api(options)
            except OSError:
                return _fail("port", texts) or 1
        time.sleep(behaviour.start_s / len(STAGES))
        _print(texts.stage(stage))
    assert api is not None
    api.open(behaviour, is_mute=fault in _LATE)
    if fault in _LATE - {"mute"}:
        _print(texts.failure(fault) or "")
    return _until_dead(family[0])


def _api(options: argparse.Namespace) -> Api:
    name = options.served_model_name or options.model
    return Api(
        (options.host, options.port),
        model=name,
        max_model_len=options.max_model_len,
        can_sleep=options.enable_sleep_mode and _is_developing(),
    )


def _is_developing() -> bool:
    """Say whether vLLM would answer on its endpoints for developers, those for sleep among them."""
    return os.environ.get("VLLM_SERVER_DEV_MODE") == "1"  # noqa: TID251 - a program of its own


def _fail(fault: str, texts: Texts) -> int | None:
    """Show a fault; return the exit code, or None where the start goes on."""
    if fault == "hang":
        time.sleep(900)
    if fault == "chatter":
        _chatter()
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault in _LATE:
        return None
    text = texts.failure(fault)
    assert text is not None, f"no fault is called {fault!r}"
    _print(text)
    return 139 if fault == "crash" else 1


def _chatter() -> None:
    while True:
        _print("(Worker) INFO 11-23 02:02:58 [weight_utils.py:1131] Still at it.\n")
        time.sleep(0.1)


def _until_dead(engine: int) -> int:
    while is_alive(engine):
        time.sleep(0.02)
    _print("vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.\n")
    return 1


def _heed_signals(behaviour: Behaviour) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour.ignores_term else end)


def _facts(
    options: argparse.Namespace, behaviour: Behaviour, family: tuple[int, int]
) -> dict[str, object]:
    kv_bytes = options.kv_cache_memory_bytes
    return {
        "kv_gib": f"{kv_bytes / (1 << 30):.2f}",
        "kv_tokens": f"{kv_bytes // _BYTES_PER_TOKEN:,}",
        "pid": os.getpid(),
        "core": family[0],
        "worker": family[1],
        "path": options.model,
        "port": options.port,
        "max_model_len": options.max_model_len,
        "fitting_len": behaviour.fitting_len,
    }


def _print(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
