"""Which server goes on which GPU. Pure.

One model per GPU first; several share a GPU where that does not hold; a model is split over GPUs
(tensor parallel) only where it does not fit one.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from servers.fit.choice import usable_gpus
from servers.fit.memory import Card, Seat
from servers.fit.values import Choice
from servers.hardware import HardwareProfile
from servers.model import Method

_MOST_TRIES = 16
_GROUP = 128
_PARALLEL = (2, 4, 8)


def cards_of(hardware: HardwareProfile) -> tuple[Card, ...]:
    """The memories of a machine that servers can live in."""
    gpus = usable_gpus(hardware)
    if not gpus:
        return (
            Card(
                name="RAM",
                index=None,
                total_bytes=hardware.host_bytes,
                others_bytes=hardware.host_others_bytes,
            ),
        )
    return tuple(
        Card(
            name=gpu.name,
            index=gpu.index,
            total_bytes=gpu.total_bytes,
            others_bytes=gpu.others_bytes,
        )
        for gpu in gpus
    )


def whole(choices: Sequence[Choice], cards: Sequence[Card]) -> Iterator[tuple[Seat, ...]]:
    """Placements in which every model is on one card; `choices` come with the neediest first.

    Where there are too many to try, the models are spread over the cards, then over fewer.
    """
    roomy = sorted(cards, key=lambda card: card.room_bytes, reverse=True)
    if len(choices) <= len(roomy):
        yield tuple(Seat(one, (card,)) for one, card in zip(choices, roomy, strict=False))
    while len(roomy) ** len(choices) > _MOST_TRIES:
        yield _greedy(choices, roomy)
        roomy.pop()
    for picked in product(roomy, repeat=len(choices)):
        yield tuple(Seat(one, (card,)) for one, card in zip(choices, picked, strict=True))


def split(choices: Sequence[Choice], cards: Sequence[Card]) -> Iterator[tuple[Seat, ...]]:
    """Placements with tensor parallel: the neediest over some cards, then all over all of these."""
    roomy = sorted(cards, key=lambda card: card.room_bytes, reverse=True)
    for n_parts in _PARALLEL:
        if n_parts > len(roomy) or not can_split(choices[0], n_parts):
            continue
        wide, rest = tuple(roomy[:n_parts]), roomy[n_parts:]
        if rest or len(choices) == 1:
            first = Seat(choices[0], wide)
            yield from ((first, *others) for others in whole(choices[1:], rest))
        if len(choices) > 1 and all(can_split(one, n_parts) for one in choices):
            yield tuple(Seat(one, wide) for one in choices)


def can_split(choice: Choice, n_parts: int) -> bool:
    """Heads, and groups of quantised weights, divide evenly over `n_parts` GPUs."""
    shape = choice.preset.architecture
    has_groups = choice.variant.method in (Method.AWQ, Method.GPTQ, Method.W4A16, Method.FP4)
    group = choice.variant.group_size or _GROUP
    heads = shape.n_heads % n_parts == 0
    kv_heads = shape.n_kv_heads % n_parts == 0 or n_parts % shape.n_kv_heads == 0
    groups = not has_groups or shape.intermediate % (group * n_parts) == 0
    return heads and kv_heads and groups


def _greedy(choices: Sequence[Choice], cards: Sequence[Card]) -> tuple[Seat, ...]:
    left = {card: card.room_bytes for card in cards}
    seats: list[Seat] = []
    for one in choices:
        card = max(left, key=left.__getitem__)
        left[card] -= one.weights_bytes
        seats.append(Seat(one, (card,)))
    return tuple(seats)
