"""Paces as runs leave them."""

from engine.forecast import Pace


def make_pace(**changes: object) -> Pace:
    fields: dict[str, object] = {
        "model": "m",
        "place": "here",
        "phase": "1a",
        "phase_fingerprint": "p",
        "n": 20,
        "n_at_once": 8.0,
        "n_beside": 1,
        "each_s": 100.0,
        "spread_s": 20.0,
        "turns": 12.0,
        "prompt_tokens": 4_000.0,
        "cached_tokens": 3_000.0,
        "completion_tokens": 900.0,
        "time": 1.0,
    }
    return Pace(**(fields | changes))  # pyright: ignore[reportArgumentType]
