"""What an investigation may spend, what it has spent, and which limit it has reached. Pure."""

import msgspec

from engine.transcript import StopReason, Usage


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one experiment, or of one investigation; None is no limit."""

    max_turns: int | None = None
    max_tokens: int | None = None
    """Prompt and completion tokens over all its turns, those of summaries included."""
    max_seconds: float | None = None
    """Seconds that its turns took, from each request to the end of what it caused."""


class RunBudget(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a whole run, interruptions included; None is no limit.

    Turns that are under way when one is reached are finished: it may be passed by as many.
    """

    max_turns: int | None = None
    max_tokens: int | None = None
    """Prompt and completion tokens, those of summaries included."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Spent so far by one investigation, or by a run."""

    turns: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def spend(self, usage: Usage, seconds: float) -> "Ledger":
        """Return the ledger after one more turn."""
        return self.spend_tokens(usage).spend_turn(seconds)

    def spend_turn(self, seconds: float = 0.0) -> "Ledger":
        """Return the ledger after one more turn, its tokens left out."""
        return msgspec.structs.replace(self, turns=self.turns + 1, seconds=self.seconds + seconds)

    def since(self, before: "Ledger") -> "Ledger":
        """Return what was spent after `before`."""
        return Ledger(
            turns=self.turns - before.turns,
            tokens=self.tokens - before.tokens,
            seconds=self.seconds - before.seconds,
        )

    def spend_tokens(self, usage: Usage) -> "Ledger":
        """Return the ledger after a completion that is no turn."""
        tokens = usage.prompt_tokens + usage.completion_tokens
        return msgspec.structs.replace(self, tokens=self.tokens + tokens)


def exhausted(budget: Budget, ledger: Ledger) -> StopReason | None:
    """Return the limit that the ledger has reached, or None."""
    if budget.max_turns is not None and ledger.turns >= budget.max_turns:
        return StopReason.TURN_LIMIT
    if budget.max_tokens is not None and ledger.tokens >= budget.max_tokens:
        return StopReason.TOKEN_LIMIT
    if budget.max_seconds is not None and ledger.seconds >= budget.max_seconds:
        return StopReason.TIME_LIMIT
    return None


def overdrawn(budget: RunBudget, ledger: Ledger) -> str | None:
    """Return in words which limit of the run the ledger has reached, or None."""
    if budget.max_turns is not None and ledger.turns >= budget.max_turns:
        return f"{budget.max_turns:,} turns are spent"
    if budget.max_tokens is not None and ledger.tokens >= budget.max_tokens:
        return f"{budget.max_tokens:,} tokens are spent"
    return None
