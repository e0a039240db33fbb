"""What the server was asked, and the plans that decide how it answers."""

from collections.abc import Callable, Mapping
from hashlib import blake2b

import msgspec

from engine.transcript import Message
from tests.faults.faults import Fault


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The body of one chat request."""

    model: str
    messages: tuple[Message, ...]
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 1_000


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it arrived."""

    body: Asked
    attempt: int
    """How often exactly this body had come before."""
    authorization: str | None
    headers: dict[str, str] = {}
    """By lower-case name."""

    @property
    def turn(self) -> int:
        """Number of replies in the conversation."""
        return sum(message.role == "assistant" for message in self.body.messages)

    @property
    def digest(self) -> str:
        """Stands for messages, model and seed: equal requests have equal digests."""
        return blake2b(msgspec.json.encode(self.body), digest_size=8).hexdigest()


Plan = Callable[[Ask], Fault]
ReplyOf = Callable[[Ask], str]


def at_first(*faults: Fault) -> Plan:
    """Answer the attempts of every request with `faults` in this order, then properly."""
    return lambda ask: faults[ask.attempt] if ask.attempt < len(faults) else Fault.NONE


def always(fault: Fault) -> Plan:
    """Answer every attempt of every request with `fault`."""
    return lambda _ask: fault


PROPERLY: Plan = always(Fault.NONE)


def mixed(shares: Mapping[Fault, float], *, seed: int = 1) -> Plan:
    """Spoil a share of the attempts with each fault: the same ones in every run of one seed."""

    def plan(ask: Ask) -> Fault:
        drawn = blake2b(f"{seed}/{ask.digest}/{ask.attempt}".encode(), digest_size=8).digest()
        place = int.from_bytes(drawn, "big") / 2**64
        for fault, share in shares.items():
            place -= share
            if place < 0:
                return fault
        return Fault.NONE

    return plan


def words(ask: Ask) -> str:
    """Return a reply of thirty words that depends on the request only."""
    return " ".join([f"reply-{ask.turn}", *([ask.digest] * 29)])


STEPS = (
    "from introspection import memory\nprint(memory.record_observation('I count turns', 'method'))",
    "values = [n * n for n in range(5)]\nprint(values)",
    "print(undefined_name)",
    "print(sum(values))",
    "print('EXPERIMENT_COMPLETE')",
)


def steps(ask: Ask) -> str:
    """Reply k: the k-th step, as a small model would write it."""
    return f"Step {ask.turn}.\n\n```python\n{STEPS[min(ask.turn, len(STEPS) - 1)]}\n```"
