"""Where the memory of a card goes. Pure arithmetic, per GPU.

    usable = total - other processes - one context per server - margin
    working = activations + CUDA graphs + the rest
    KV cache = usable - weights - working

Source: serving-gpu.md section 3, "Formula (calc)" and "Reported constants". The two figures for
CUDA graphs are those at which the six rows of its table "Fit of 3B + 7B" come out: 0.041 GiB per
captured batch size, 11 sizes for 32 sequences, 5 in the short list.
"""

import msgspec

from servers.fit.values import Choice, Flags, Measured, Sum
from servers.hardware import GIB
from servers.model import Method

CONTEXT_BYTES = round(0.40 * GIB)
"""One CUDA context with its library handles: outside vLLM's budget (0.3 to 0.5 GiB reported)."""
MARGIN_BYTES = round(0.25 * GIB)
REST_BYTES = round(0.15 * GIB)
"""Compilation artefacts and memory outside PyTorch (0.11 and 0.01 to 0.12 GiB reported)."""
PARALLEL_BYTES = round(0.30 * GIB)
"""Buffers for exchange between GPUs, per GPU; an assumption, not measured."""

GRAPHS_SHORT_BYTES = round(0.20 * GIB)
GRAPHS_FULL_BYTES = round(0.45 * GIB)
GRAPHS_WIDE_BYTES = round(0.73 * GIB)
"""The largest figure reported, for lists that go beyond 64 sequences."""
SHORT_CAPTURE_SIZES = (1, 2, 4, 8, 16)
SMALL_CARD_BYTES = 16 * GIB
"""Below this, graphs are captured for the short list only."""
_MOST_SEQS_OF_FULL = 64

PROGRAM_BYTES = 2 * GIB
"""vLLM's CPU build without its KV cache. Source: serving-cpu.md section 1 (3.1 GB RSS with 1 GiB
of KV)."""
LLAMA_BYTES = round(0.20 * GIB)
"""Source: serving-embedded.md, RSS of the serving process (193 MB)."""
RAM_MARGIN_BYTES = GIB
"""Left to the rest of the machine; an assumption."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """Memory that servers can live in: of one GPU, or the RAM."""

    name: str
    index: int | None
    """Index of the GPU; None: RAM."""
    total_bytes: int
    others_bytes: int

    @property
    def margin_bytes(self) -> int:
        """What is left free on purpose."""
        return RAM_MARGIN_BYTES if self.index is None else MARGIN_BYTES

    @property
    def room_bytes(self) -> int:
        """What is there for servers and their contexts."""
        return self.total_bytes - self.others_bytes - self.margin_bytes


class Seat(msgspec.Struct, frozen=True):
    """One server on one or more cards."""

    choice: Choice
    cards: tuple[Card, ...]

    @property
    def n_cards(self) -> int:
        """Over how many cards the model is split."""
        return len(self.cards)

    @property
    def is_small(self) -> bool:
        """CUDA graphs for the short list only, on all of its cards."""
        return any(card.total_bytes < SMALL_CARD_BYTES for card in self.cards)


def context_bytes(choice: Choice, card: Card) -> int:
    """What a server takes on a card before it loads anything."""
    if card.index is not None:
        return CONTEXT_BYTES
    return LLAMA_BYTES if choice.runtime == "llama.cpp" else PROGRAM_BYTES


def activation_bytes(choice: Choice, flags: Flags) -> int:
    """Peak of the tensors that live only during a step.

    Tokens in a step pass the MLP (2 intermediate + 6 hidden, 16 bits each); each sequence is
    sampled over the vocabulary (14 bytes per entry). llama.cpp computes in 32 bits, and reserves
    the scores of every token in a step.
    """
    shape = choice.preset.architecture
    if choice.runtime == "llama.cpp":
        return (
            flags.n_batched_tokens * 4 * (2 * shape.intermediate + 6 * shape.hidden + shape.vocab)
        )
    per_token = (2 * shape.intermediate + 6 * shape.hidden) * 2
    return flags.n_batched_tokens * per_token + flags.n_seqs * shape.vocab * 14


def graphs_bytes(seat: Seat, flags: Flags) -> int:
    """Memory of the CUDA graphs on each card."""
    if flags.is_eager or seat.cards[0].index is None:
        return 0
    if seat.is_small:
        return GRAPHS_SHORT_BYTES
    return GRAPHS_FULL_BYTES if flags.n_seqs <= _MOST_SEQS_OF_FULL else GRAPHS_WIDE_BYTES


def working_bytes(seat: Seat, flags: Flags, card: Card, measured: tuple[Measured, ...] = ()) -> int:
    """Activations, graphs and the rest on one card: as measured last, or else as computed."""
    for one in reversed(measured):
        if _is_about(one, seat, flags, card):
            return one.working_bytes + REST_BYTES
    parallel = PARALLEL_BYTES if seat.n_cards > 1 else 0
    activations = activation_bytes(seat.choice, flags)
    return activations + graphs_bytes(seat, flags) + REST_BYTES + parallel


def kv_per_token(seat: Seat) -> int:
    """KV bytes per token on each card of the seat: heads are split as far as there are any."""
    parts = min(seat.n_cards, seat.choice.preset.architecture.n_kv_heads)
    return -(-seat.choice.kv_bytes_per_token // parts)


def window_tokens(choice: Choice, context_tokens: int) -> int:
    """Context window that a server gets: never beyond what the model supports by itself."""
    return min(context_tokens, choice.preset.architecture.context_tokens)


def kv_needed(seat: Seat, flags: Flags, context_tokens: int) -> int:
    """KV bytes per card for as many full windows as the flags ask for."""
    tokens = flags.n_windows * window_tokens(seat.choice, context_tokens)
    needed = round(tokens * kv_per_token(seat))
    is_in_whole_gib = seat.cards[0].index is None and seat.choice.runtime == "vllm"
    return -(-needed // GIB) * GIB if is_in_whole_gib else needed


def card_sum(
    card: Card,
    seats: tuple[Seat, ...],
    flags: Flags,
    *,
    context_tokens: int,
    measured: tuple[Measured, ...] = (),
) -> Sum:
    """Add up one card with all servers that live on it."""
    here = [seat for seat in seats if card in seat.cards]
    return Sum(
        name=card.name,
        indices=() if card.index is None else (card.index,),
        models=tuple(seat.choice.preset.key for seat in here),
        total_bytes=card.total_bytes,
        others_bytes=card.others_bytes,
        contexts_bytes=sum(context_bytes(seat.choice, card) for seat in here),
        margin_bytes=card.margin_bytes,
        weights_bytes=sum(-(-seat.choice.weights_bytes // seat.n_cards) for seat in here),
        working_bytes=sum(working_bytes(seat, flags, card, measured) for seat in here),
        kv_needed_bytes=sum(kv_needed(seat, flags, context_tokens) for seat in here),
    )


def _is_about(one: Measured, seat: Seat, flags: Flags, card: Card) -> bool:
    variant = seat.choice.variant
    is_same_server = (one.repo, one.is_online_fp8, one.gpu, one.n_gpus) == (
        variant.repo,
        variant.method is Method.ONLINE_FP8,
        card.name,
        seat.n_cards,
    )
    return is_same_server and (one.n_seqs, one.n_batched_tokens, one.is_eager) == (
        flags.n_seqs,
        flags.n_batched_tokens,
        flags.is_eager,
    )
