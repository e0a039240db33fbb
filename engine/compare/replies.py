"""How often one server answers one request in two ways. Pure."""

from collections.abc import Sequence

from engine.compare.cases import Case
from engine.compare.result import Replies


def replies_of(cases: Sequence[Case], arm: str, twin: str) -> Replies:
    """Return it for a model and its twin: they sent the same, until the first other reply."""
    firsts = {case.place: case for case in cases if case.arm == arm}
    pairs = [
        (firsts[case.place], case) for case in cases if case.arm == twin and case.place in firsts
    ]
    n_requests, n_other = 0, 0
    for first, second in pairs:
        n_alike, has_parted = _alike(first, second)
        n_requests += n_alike + has_parted
        n_other += has_parted
    return Replies(
        arm=arm,
        twin=twin,
        n_requests=n_requests,
        n_other=n_other,
        words=(
            f"{arm} was sent {n_requests:,} requests twice (same conversation, same seed); "
            f"{n_other:,} of them got another reply the second time."
        ),
    )


def _alike(first: Case, second: Case) -> tuple[int, bool]:
    """Return how many replies are the same, and whether another one follows.

    What came of a reply can differ as well (a time that was printed): then the next requests do.
    Turns that one of them has from another investigation were asked for there.
    """
    n_inherited = max(first.measures.inherited_turns, second.measures.inherited_turns)
    pairs = list(zip(first.transcript.turns, second.transcript.turns, strict=False))
    for place, (one, other) in enumerate(pairs):
        if one.completion.text != other.completion.text:
            return max(0, place - n_inherited), place >= n_inherited
        if one.observation != other.observation:
            return max(0, place + 1 - n_inherited), False
    return max(0, len(pairs) - n_inherited), False
